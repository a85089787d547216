import { setTimeout as sleep } from 'node:timers/promises'
import { defineAgent, serve } from '@hypercode/base-agent'
import { Type } from '@sinclair/typebox'

/** Works for a while, and listens to its signal only when it is told to. */
const sleeper = defineAgent({
  name: 'sleeper',
  version: '1.0.0',
  slots: 2,
  skills: [{ id: 'sleep' }],
  input: Type.Object({ ms: Type.Integer(), deaf: Type.Optional(Type.Boolean()) }),
  output: Type.Object({ slept: Type.Boolean() }),
  async onTask(ctx, { ms, deaf }) {
    await sleep(ms, undefined, deaf === true ? {} : { signal: ctx.signal })
    return { slept: true }
  },
})

await serve(sleeper)
