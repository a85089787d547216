import { TerminalError, defineAgent } from '@hypercode/base-agent'
import type { Agent, TaskContext } from '@hypercode/base-agent'
import type { Static, TSchema } from '@sinclair/typebox'
import type { CoderOptions } from './coder-options.ts'
import { CoderInput, CoderOutput, EditInput, ExplainInput, MergeInput, ReviewInput, VerifyInput } from './schemas.ts'
import { edit } from './skills/edit.ts'
import { explain } from './skills/explain.ts'
import { merge } from './skills/merge.ts'
import { review } from './skills/review.ts'
import { configuredModel } from './skills/run-skill.ts'
import type { Asked } from './skills/run-skill.ts'
import { verify } from './skills/verify.ts'
import { InputFault, parseInput } from './tools/tool.ts'
import { BaseRepository } from './workspace/base-repository.ts'

/** Edits, reviews and explains code with a model; see the README for what it holds to. */
export function createCoder(options: CoderOptions): Agent<typeof CoderInput, typeof CoderOutput> {
  let opened: Promise<BaseRepository> | undefined
  const openBase = async (): Promise<BaseRepository> => {
    opened ??= BaseRepository.open(options.workDir, options.path)
    try {
      return await opened
    } catch (error) {
      opened = undefined // the next task tries again
      throw error
    }
  }
  return defineAgent({
    name: 'coder',
    version: '0.1.0',
    slots: 2,
    skills: [
      { id: 'code.edit', name: 'Change code as asked, as a patch' },
      { id: 'code.review', name: 'Judge a patch' },
      { id: 'code.explain', name: 'Answer a question about code' },
      { id: 'code.merge', name: 'Put approved patches together' },
      { id: 'code.verify', name: 'Run a command on a patch, and say whether it passed' },
    ],
    input: CoderInput,
    output: CoderOutput,
    onTask: async (ctx, input) => {
      const run = async <T extends Asked, O>(
        schema: TSchema & { readonly static: T },
        skill: (ctx: TaskContext, options: CoderOptions, base: BaseRepository, input: T) => Promise<O>,
      ): Promise<O> => {
        const checked = checkedInput(schema, input)
        configuredModel(options, checked)
        return await skill(ctx, options, await openBase(), checked)
      }
      switch (ctx.skill) {
        case 'code.review':
          return await run(ReviewInput, review)
        case 'code.merge':
          return await merge(ctx, options, await openBase(), checkedInput(MergeInput, input))
        case 'code.verify':
          return await verify(ctx, options, await openBase(), checkedInput(VerifyInput, input))
        case 'code.explain':
          return await run(ExplainInput, explain)
        default:
          return await run(EditInput, edit)
      }
    },
  })
}

/** As the chassis does it for an agent whose skills all take the same. */
function checkedInput<I extends TSchema>(schema: I, input: unknown): Static<I> {
  try {
    return parseInput(schema, input)
  } catch (error) {
    if (!(error instanceof InputFault)) throw error
    throw new TerminalError('the input does not fit the skill', error.message, { code: 'input_invalid', cause: error })
  }
}
