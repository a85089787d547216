import type { TaskContext } from '@hypercode/base-agent'

/**
 * Why the result of a turn that an earlier attempt has ended with was refused by the verification of the task, or nothing when it was
 * not. It is a step as well: whoever replays the conversation later goes on from there.
 */
export async function refusalOf(ctx: TaskContext, turn: string): Promise<string | undefined> {
  const { previousError } = ctx
  try {
    return await ctx.step(`${turn} refused`, () => {
      if (previousError?.code !== 'verification_failed') throw new NotRefused()
      return previousError.message
    })
  } catch (error) {
    if (error instanceof NotRefused) return undefined
    throw error
  }
}

/** What the model is told of it. */
export const saidOf = (refusal: string): string =>
  `Your result was checked and refused, for this reason:\n\n${refusal}\n\nMake it right, and end as before.`

/** A step that throws leaves no record. */
class NotRefused extends Error {
  override readonly name = 'NotRefused'
}
