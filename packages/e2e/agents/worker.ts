/**
 * The agent of the scenarios: `node agents/worker.ts`. Writes one line to EFFECTS_FILE in a step, so that a scenario sees from outside
 * what was really done; waits; and writes another line when it is done.
 */
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineAgent, serve } from '@hypercode/base-agent'
import { Type } from '@sinclair/typebox'

const effects = process.env['EFFECTS_FILE'] ?? '/dev/null'
const write = (line: object): void => appendFileSync(effects, `${JSON.stringify({ ...line, pid: process.pid })}\n`)

const worker = defineAgent({
  name: 'worker',
  version: '1.0.0',
  slots: 4,
  skills: [{ id: 'e2e.work' }],
  input: Type.Object({ waitMs: Type.Optional(Type.Integer()), value: Type.Optional(Type.Unknown()) }),
  output: Type.Object({ value: Type.Unknown(), from: Type.Integer() }),
  async onTask(ctx, input) {
    write({ at: 'begin', taskId: ctx.taskId, attempt: ctx.attempt })
    await ctx.step('once', () => {
      write({ at: 'step', taskId: ctx.taskId, attempt: ctx.attempt })
      return true
    })
    ctx.log.info('working')
    await sleep(input.waitMs ?? 0, undefined, { signal: ctx.signal })
    write({ at: 'end', taskId: ctx.taskId, attempt: ctx.attempt })
    return { value: input.value ?? null, from: process.pid }
  },
})

await serve(worker)
