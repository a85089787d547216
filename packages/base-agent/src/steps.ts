import { StepName } from '@hypercode/contracts'
import type { ClaimedTask } from '@hypercode/contracts'
import { TerminalError } from './errors.ts'
import { hashOf, toJson } from './json.ts'
import type { TaskPort } from './task-port.ts'
import type { StepOptions, StepRun } from './task-context.ts'
import { inStep } from './usage.ts'

export type RunStep = (name: string, work: (run: StepRun) => unknown, options?: StepOptions) => Promise<unknown>

const NAME = new RegExp(StepName.pattern ?? '')

/**
 * The steps of one attempt.
 * - S1: a step whose result is in the journal is not run again.
 * - S2: a name is begun once in an attempt; two results under one name could not be told apart.
 * - S3: nothing is begun once the attempt is stopped or its lease is in doubt.
 */
export function createSteps(task: ClaimedTask, port: TaskPort, signal: AbortSignal): RunStep {
  const journal = new Map(task.steps.map((record) => [record.name, record]))
  const begun = new Set<string>()
  return async (name, work, options = {}) => {
    begin(name, begun) // S2
    const requestHash = options.request === undefined ? undefined : hashOf(options.request)
    const record = journal.get(name)
    if (record !== undefined) {
      assertSameRequest(name, record.requestHash, requestHash)
      return record.response // S1
    }
    signal.throwIfAborted() // S3
    port.assertLive()
    const result = await inStep(name, () => work({ idempotencyKey: idempotencyKey(task.taskId, name), signal }))
    return await port.recordStep({
      name,
      ...(requestHash !== undefined && { requestHash }),
      response: jsonOf(name, result),
    })
  }
}

/** The same for every attempt of the task. */
export const idempotencyKey = (taskId: string, stepName: string): string => `${taskId}:${stepName}`

function begin(name: string, begun: Set<string>): void {
  if (name.length === 0 || name.length > (StepName.maxLength ?? 200) || !NAME.test(name)) {
    throw new TerminalError(`"${name}" cannot name a step`, 'use letters, digits, blanks and . _ - # / [ ]', {
      code: 'step_invalid',
    })
  }
  if (begun.has(name)) {
    throw new TerminalError(`the step "${name}" was begun twice in one attempt`, 'give every step a name of its own', {
      code: 'step_repeated',
    })
  }
  begun.add(name)
}

function assertSameRequest(name: string, recorded: string | undefined, now: string | undefined): void {
  // A step that named no request before, or names none now, was changed by a new release and not by its input.
  if (recorded === undefined || now === undefined || recorded === now) return
  throw new TerminalError(
    `the step "${name}" is recorded with another request`,
    'a step must ask for the same in every attempt; give the changed one a new name',
    { code: 'step_mismatch' },
  )
}

function jsonOf(name: string, result: unknown): unknown {
  try {
    return toJson(result).value
  } catch (cause) {
    throw new TerminalError(`the result of the step "${name}" is not JSON`, describe(cause), {
      code: 'step_invalid',
      cause,
    })
  }
}

const describe = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
