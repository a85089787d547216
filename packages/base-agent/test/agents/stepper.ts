import { setTimeout as sleep } from 'node:timers/promises'
import { defineAgent, serve } from '@hypercode/base-agent'
import { Type } from '@sinclair/typebox'

/** Records one step after the other. */
const stepper = defineAgent({
  name: 'stepper',
  version: '1.0.0',
  skills: [{ id: 'walk' }],
  input: Type.Object({ steps: Type.Integer() }),
  output: Type.Object({ steps: Type.Integer() }),
  async onTask(ctx, { steps }) {
    for (let n = 1; n <= steps; n += 1) {
      await ctx.step(`step ${n}`, async () => {
        await sleep(30)
        return n
      })
    }
    return { steps }
  },
})

await serve(stepper)
