import { RejectedError } from '@hypercode/base-agent'
import type { TaskContext } from '@hypercode/base-agent'
import type { CoderOptions } from '../coder-options.ts'
import { createAskModel } from '../model/ask-model.ts'
import { Budget } from '../model/budget.ts'
import type { Limits, Spent } from '../model/budget.ts'
import { runLoop } from '../model/loop.ts'
import type { LoopOptions } from '../model/loop.ts'
import type { ModelSettings } from '../model/model-settings.ts'
import type { CallableTool } from '../model/run-call.ts'
import type { Turn } from '../model/turn.ts'
import { TOOLS } from '../tools/index.ts'
import { Policy } from '../tools/policy.ts'
import type { TaskPolicy } from '../tools/policy.ts'
import type { ToolName } from '../tools/policies.ts'
import type { Workspace } from '../workspace/workspace.ts'

/** What tells one skill from another. */
export interface Skill extends Pick<LoopOptions, 'system' | 'task' | 'isDone'> {
  readonly tools: readonly ToolName[]
  /** By which the model hands in its result. */
  readonly handIn?: CallableTool
  readonly onCall?: LoopOptions['onCall']
}

export interface Asked {
  readonly limits?: Partial<Limits>
  readonly policy?: TaskPolicy
}

/** Lets the model work with the tools of a skill until it is done. */
export async function runSkill(
  ctx: TaskContext,
  options: CoderOptions,
  workspace: Workspace,
  asked: Asked,
  skill: Skill,
): Promise<{ readonly turn: Turn; readonly usage: Spent }> {
  const model = configuredModel(options, asked)
  const { tools, handIn, system, task, isDone, onCall = () => undefined } = skill
  const policy = new Policy(tools, asked.policy)
  const budget = new Budget(options.limits, asked.limits)
  const turn = await runLoop({
    ctx,
    model,
    ask: createAskModel(model),
    budget,
    system,
    task,
    tools: [...TOOLS.filter(({ name }) => policy.tools.has(name)), ...(handIn === undefined ? [] : [handIn])],
    scope: { workspace, policy, sandbox: options.sandbox, signal: ctx.signal, commandMaxMs: options.commandMaxMs },
    isDone,
    onCall,
  })
  return { turn, usage: budget.spent }
}

/** @throws {RejectedError} when there is no model, or when what a task asks for cannot be counted */
export function configuredModel({ model }: CoderOptions, { limits }: Asked): ModelSettings {
  if (model === undefined) throw new RejectedError('no model configured: set MODEL_BASE_URL and MODEL_NAME')
  if (limits?.usd !== undefined && model.prices === undefined) {
    throw new RejectedError(
      'the cost of the model is not known: set MODEL_INPUT_USD_PER_MTOK and MODEL_OUTPUT_USD_PER_MTOK, or ask for no limit in USD',
    )
  }
  return model
}
