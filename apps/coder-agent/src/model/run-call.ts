import type { TaskContext } from '@hypercode/base-agent'
import { boundedText } from '../tools/bounded-text.ts'
import { InputFault } from '../tools/tool.ts'
import type { Tool, ToolAnswer, ToolScope } from '../tools/tool.ts'
import { Refused } from '../workspace/refused.ts'
import type { OfferedTool } from './ask-model.ts'
import { recordChange } from './call-record.ts'
import type { CallRecord } from './call-record.ts'
import type { JournalRoom } from './journal-room.ts'
import type { ToolCall } from './turn.ts'

/** A tool of the workspace, or one by which a model hands in its result. */
export interface CallableTool extends OfferedTool {
  readonly call: Tool['call']
}

/** The tools of a task and what they work with. */
export interface Toolbox {
  readonly tools: readonly CallableTool[]
  readonly scope: ToolScope
}

/** Does what a call asks for. What the model can do something about is an answer; what it cannot is thrown. */
export async function runCall(
  ctx: TaskContext,
  step: string,
  call: ToolCall,
  toolbox: Toolbox,
  { textMax, changeMax }: Pick<JournalRoom, 'textMax' | 'changeMax'>,
): Promise<CallRecord> {
  const { workspace } = toolbox.scope
  ctx.log.info({ step, tool: call.name }, 'tool called')
  const beganMs = performance.now()
  const before = workspace.tree
  const ms = (): number => Math.round(performance.now() - beganMs)
  try {
    const answer = await answerOf(call, toolbox)
    const change = await recordChange(ctx, workspace, step, answer, { before, maxBytes: changeMax })
    return {
      text: boundedText(answer.text, textMax),
      ...(change !== undefined && { change }),
      ...(answer.command !== undefined && { command: answer.command }),
      ms: ms(),
    }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    const refused = error instanceof InputFault ? ('input' as const) : ('policy' as const)
    return { text: boundedText(`refused: ${error.message}`, textMax), refused, ms: ms() }
  }
}

async function answerOf({ name, input, fault }: ToolCall, { tools, scope }: Toolbox): Promise<ToolAnswer> {
  const tool = tools.find((one) => one.name === name)
  if (tool === undefined) {
    throw new InputFault(`there is no tool ${name}; there are ${tools.map((one) => one.name).join(', ')}`)
  }
  if (fault !== undefined) throw new InputFault(fault)
  return await tool.call(input, scope)
}
