import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { createScriptedModel, runTask } from '@hypercode/base-agent/testing'
import type { ModelScript, ModelTurn, RunTaskOptions, ScriptedModel, TaskRun } from '@hypercode/base-agent/testing'
import { dataHome, provideBubblewrap } from '@hypercode/local-stack'
import { findSandbox } from '@hypercode/sandbox'
import type { Sandbox } from '@hypercode/sandbox'
import { onTestFinished } from 'vitest'
import { createCoder } from '../../src/agent.ts'
import type { CoderOptions } from '../../src/coder-options.ts'
import type {
  EditInput,
  EditOutput,
  ExplainInput,
  ExplainOutput,
  ReviewInput,
  ReviewOutput,
} from '../../src/schemas.ts'
import { tempFolder } from './repository.ts'

export const LIMITS = { turns: 30, tokens: 100_000, usd: 10, ms: 60_000 }
export const PATIENCE = { tries: 3, firstPauseMs: 5, pauseMaxMs: 2_000 }

/** A model that ends with the test. */
export async function model(script: ModelScript): Promise<ScriptedModel> {
  const scripted = await createScriptedModel({ script })
  onTestFinished(() => scripted.close())
  return scripted
}

export type Coder = ReturnType<typeof createCoder>

/** A coder that asks this model and has a work folder of its own. */
export async function coder(scripted: ScriptedModel, options: Partial<CoderOptions> = {}): Promise<Coder> {
  return createCoder({
    model: { baseUrl: scripted.baseUrl, name: 'scripted', patience: PATIENCE, prices: { inputUsd: 3, outputUsd: 15 } },
    sandbox: undefined,
    workDir: await tempFolder(),
    path: process.env['PATH'] ?? '',
    limits: LIMITS,
    commandMaxMs: 20_000,
    snapshot: { filesMax: 1000, bytesMax: 10_000_000, fileBytesMax: 1_000_000 },
    ...options,
  })
}

export const bubblewrapPath = async (): Promise<string> => {
  const checkout = fileURLToPath(new URL('../../../..', import.meta.url))
  const file = await provideBubblewrap(path.join(dataHome(checkout).dir, 'runtime'))
  if (file === undefined) throw new Error('no bubblewrap on this machine, and none could be fetched')
  return file
}

/** The real sandbox, and the commands that it was asked to run and that have run to their end. */
export async function realSandbox(): Promise<Sandbox & { readonly ran: string[] }> {
  const sandbox = await findSandbox({ path: await bubblewrapPath() })
  if (sandbox === undefined) throw new Error('bubblewrap does not work on this machine')
  const ran: string[] = []
  return {
    kind: sandbox.kind,
    ran,
    run: async (command) => {
      const result = await sandbox.run(command)
      ran.push(command.argv.join(' '))
      return result
    },
  }
}

/** The turns by how often the model has spoken before, so that it goes on where a killed agent was. */
export const byTurn =
  (turns: readonly ModelTurn[]): ModelScript =>
  ({ messages }) =>
    turns[messages.filter(({ role }) => role === 'assistant').length] ?? {
      error: { status: 400, message: 'no more turns' },
    }

export const call = (name: string, input: unknown): ModelTurn => ({ toolCalls: [{ name, input }] })

type Options = Omit<RunTaskOptions, 'skill'>

export const runEdit = async (agent: Coder, input: EditInput, options: Options = {}): Promise<TaskRun<EditOutput>> =>
  (await runTask(agent, input, { ...options, skill: 'code.edit' })) as TaskRun<EditOutput>

export const runReview = async (
  agent: Coder,
  input: ReviewInput,
  options: Options = {},
): Promise<TaskRun<ReviewOutput>> =>
  (await runTask(agent, input, { ...options, skill: 'code.review' })) as TaskRun<ReviewOutput>

export const runExplain = async (
  agent: Coder,
  input: ExplainInput,
  options: Options = {},
): Promise<TaskRun<ExplainOutput>> =>
  (await runTask(agent, input, { ...options, skill: 'code.explain' })) as TaskRun<ExplainOutput>
