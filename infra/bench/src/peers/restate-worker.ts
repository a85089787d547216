import * as restate from '@restatedev/restate-sdk'
import type { Context } from '@restatedev/restate-sdk'
import { FAN_WIDTH, expectPayload, noop } from '../contender.ts'
import { endWithParent } from '../end-with-parent.ts'

const service = restate.service({
  name: 'bench',
  handlers: {
    single: async () => noop(),
    chain: async (ctx: Context) => {
      expectPayload(await ctx.run('first', noop))
      expectPayload(await ctx.run('second', noop))
      return await ctx.run('third', noop)
    },
    fan: async (ctx: Context) => {
      await ctx.run('list', noop)
      await restate.RestatePromise.all(Array.from({ length: FAN_WIDTH }, (_, n) => ctx.run(`each-${n}`, noop)))
      return await ctx.run('join', noop)
    },
  },
})

await restate
  .endpoint()
  .bind(service)
  .setLogger(() => undefined)
  .listen(Number(process.env['PORT']))
endWithParent(async () => undefined)
