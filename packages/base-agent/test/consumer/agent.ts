import { Type } from '@sinclair/typebox'
import { BaseAgent, TerminalError, defineAgent } from '@hypercode/base-agent'
import type { TaskContext } from '@hypercode/base-agent'
import { cardHash } from '@hypercode/base-agent/card'
import { canMove } from '@hypercode/base-agent/lifecycle'
import { runTask } from '@hypercode/base-agent/testing'

const Text = Type.Object({ text: Type.String() })
const profile = { version: '1.0.0', skills: [{ id: 'shout' }], input: Text, output: Text }

export const shouter = defineAgent({
  ...profile,
  name: 'shouter',
  async onTask(ctx, input) {
    const loud: string = await ctx.step('shout', () => input.text.toUpperCase())
    if (loud === '') throw new TerminalError('nothing to say')
    return { text: loud }
  },
})

export class Shouter extends BaseAgent<typeof Text, typeof Text> {
  constructor() {
    super({ ...profile, name: 'shouter' })
  }

  override async onTask(ctx: TaskContext, input: { text: string }) {
    await ctx.progress(0.5)
    return { text: input.text.toUpperCase() }
  }
}

export const output: Promise<{ text: string }> = runTask(shouter, { text: 'x' }).then((run) => run.output)
export const known: boolean = canMove('ready', 'draining') && cardHash(shouter.card).length === 64

// @ts-expect-error the output has no length
defineAgent({ ...profile, name: 'wrong', onTask: async (_ctx, input) => ({ length: input.text.length }) })
