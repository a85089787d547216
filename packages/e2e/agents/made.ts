/** An agent for the factory to make. Its tasks say what becomes of it: it waits, blocks its main thread, ends, or eats memory. */
import { setTimeout as sleep } from 'node:timers/promises'
import { defineAgent, serve } from '@hypercode/base-agent'
import { Type } from '@sinclair/typebox'

const made = defineAgent({
  name: process.argv[2] ?? 'made',
  version: '1.0.0',
  slots: 2,
  skills: [{ id: process.argv[3] ?? 'e2e.made' }],
  input: Type.Object({
    waitMs: Type.Optional(Type.Integer()),
    blockMs: Type.Optional(Type.Integer()),
    exitCode: Type.Optional(Type.Integer()),
    eat: Type.Optional(Type.Boolean()),
  }),
  output: Type.Object({ pid: Type.Integer(), greeting: Type.Optional(Type.String()) }),
  async onTask(ctx, { waitMs = 0, blockMs = 0, exitCode, eat = false }) {
    ctx.log.info('working')
    if (exitCode !== undefined) process.exit(exitCode)
    const eaten: Buffer[] = []
    while (eat) {
      eaten.push(Buffer.alloc(16 * 1024 * 1024, 1))
      await sleep(5)
    }
    const untilMs = performance.now() + blockMs
    while (performance.now() < untilMs); // the event loop does not turn
    await sleep(waitMs, undefined, { signal: ctx.signal })
    const greeting = process.env['GREETING']
    return { pid: process.pid, ...(greeting !== undefined && { greeting }) }
  },
})

await serve(made)
