/** The agent of these tests. Its tasks say what it does: wait, block its main thread, end its process, eat memory. */
import { setTimeout as sleep } from 'node:timers/promises'
import { defineAgent, serve } from '@hypercode/base-agent'
import { Type } from '@sinclair/typebox'

const worker = defineAgent({
  name: 'worker',
  version: '1.0.0',
  slots: 2,
  skills: [{ id: 'test.work' }],
  input: Type.Object({
    waitMs: Type.Optional(Type.Integer()),
    blockMs: Type.Optional(Type.Integer()),
    exitCode: Type.Optional(Type.Integer()),
  }),
  output: Type.Object({ pid: Type.Integer() }),
  async onTask(ctx, { waitMs = 0, blockMs = 0, exitCode }) {
    ctx.log.info('working')
    if (exitCode !== undefined) process.exit(exitCode)
    const untilMs = performance.now() + blockMs
    while (performance.now() < untilMs); // the event loop does not turn
    await sleep(waitMs, undefined, { signal: ctx.signal })
    return { pid: process.pid }
  },
})

if (process.argv.includes('--crash')) process.exit(7)
if (process.argv.includes('--mute')) setInterval(() => undefined, 1000)
else await serve(worker)
