import type { Sandbox } from '@hypercode/sandbox'
import type { Static, TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { Refused } from '../workspace/refused.ts'
import type { Change, Workspace } from '../workspace/workspace.ts'
import type { Policy } from './policy.ts'
import type { ToolName } from './policies.ts'

/** What a tool works with. */
export interface ToolScope {
  readonly workspace: Workspace
  readonly policy: Policy
  /** Commands are refused without it. */
  readonly sandbox: Sandbox | undefined
  readonly signal: AbortSignal
  /** Longest time of one command. */
  readonly commandMaxMs: number
}

/** A command that has run to its end. */
export interface CommandRun {
  readonly argv: readonly string[]
  readonly exitCode: number | null
  readonly timedOut: boolean
  readonly durationMs: number
}

export interface ToolAnswer {
  /** What the model gets to read. */
  readonly text: string
  readonly change?: Change | undefined
  readonly command?: CommandRun
}

export interface Tool {
  readonly name: ToolName
  readonly description: string
  readonly input: TSchema
  /**
   * @throws {InputFault} when the input does not fit
   * @throws {Refused} when it fits and cannot be done
   */
  readonly call: (input: unknown, scope: ToolScope) => Promise<ToolAnswer>
}

export interface ToolDefinition<I extends TSchema> {
  readonly name: ToolName
  readonly description: string
  readonly input: I
  readonly run: (input: Static<I>, scope: ToolScope) => Promise<ToolAnswer>
}

export const defineTool = <I extends TSchema>({ run, ...tool }: ToolDefinition<I>): Tool => ({
  ...tool,
  call: async (input, scope) => {
    const checked = parseInput(tool.input, input)
    scope.policy.assertTool(tool.name)
    return await run(checked, scope)
  },
})

/** A model has written an input that makes no sense. It is told what is wrong, a bounded number of times. */
export class InputFault extends Refused {}

/** @throws {InputFault} with everything that is wrong */
export function parseInput<I extends TSchema>(schema: I, input: unknown): Static<I> {
  if (Value.Check(schema, input)) return input
  const faults = [...Value.Errors(schema, input)].slice(0, FAULTS_MAX)
  throw new InputFault(
    `the input does not fit: ${faults.map(({ path, message }) => `${path === '' ? 'it' : path}: ${message}`).join('; ')}`,
  )
}

const FAULTS_MAX = 10
