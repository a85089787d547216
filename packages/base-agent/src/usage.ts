import { AsyncLocalStorage } from 'node:async_hooks'
import { RecordUsage } from '@hypercode/contracts'
import { Type } from '@sinclair/typebox'
import { TerminalError } from './errors.ts'
import { hashOf } from './json.ts'
import { compileCheck, describeFaults } from './schema-check.ts'
import type { ModelUsage } from './task-context.ts'
import type { TaskPort } from './task-port.ts'

/** What is sent of a model call: with its key, without the fence. */
export type NamedUsage = Omit<RecordUsage, 'incarnation' | 'attempt'>

/** A step that is running, and how many model calls it has counted without a key of their own. */
interface StepCalls {
  readonly step: string
  calls: number
}

const running = new AsyncLocalStorage<StepCalls>()
const faultsOf = compileCheck(Type.Omit(RecordUsage, ['incarnation', 'attempt'], { additionalProperties: false }))

/** Runs the work of a step so that model calls in it are named after it. */
export const inStep = <T>(step: string, work: () => T): T => running.run({ step, calls: 0 }, work)

/**
 * Counts the model calls of one attempt.
 * - U1: a call has the same key in every attempt, whichever steps come from the journal: it is named after its step and its
 *   place in it (`plan`, `plan:2`), or outside of steps after its place in the handler (`:1`, `:2`).
 */
export function createUsage(port: TaskPort): (usage: ModelUsage) => Promise<void> {
  const outside: StepCalls = { step: '', calls: 0 }
  return async ({ key, ...usage }) => {
    const named = { key: key ?? nextKey(running.getStore() ?? outside), ...usage }
    const faults = faultsOf(named)
    if (faults.length > 0) {
      throw new TerminalError('that is no usage of a model', describeFaults(faults), { code: 'usage_invalid' })
    }
    await port.recordUsage(named)
  }
}

/** U1. The colon keeps the keys apart from each other: no name of a step holds one. */
function nextKey(calls: StepCalls): string {
  calls.calls += 1
  const { step } = calls
  if (step !== '' && calls.calls === 1) return step
  return `${step.length > STEP_MAX ? hashOf(step) : step}:${calls.calls}`
}

/** Leaves room for a number in a key of 200 characters. */
const STEP_MAX = 180
