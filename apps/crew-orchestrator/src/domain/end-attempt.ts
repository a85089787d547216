import type { TaskError, Wait } from '@hypercode/contracts'
import type { TaskFacts } from './facts.ts'
import { missionOf, move, tell } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { decideRetry } from './retry.ts'
import type { Failure } from './retry.ts'
import { suspend, waitFault } from './suspend.ts'
import type { KnownWaits } from './suspend.ts'

/** How an attempt ended, as its agent reports it or as a sweep finds it. */
export type Ending =
  /** `chars` is the length of the output as JSON. */
  | { kind: 'completed'; output: unknown; outputHash: string; chars: number }
  | { kind: 'failed'; outcome: 'failed' | 'lease_lost' | 'timed_out'; error: TaskError; failure: Failure }
  | { kind: 'rejected'; error: TaskError }
  | { kind: 'canceled' }
  | { kind: 'released' }
  | { kind: 'waiting'; wait: Wait; known: KnownWaits }

/**
 * Most characters of the outputs of a mission's tasks together. A forEach task gathers those of its elements, and the mission those of its
 * last tasks: whoever ends the last one has all of them in memory.
 */
export const OUTPUT_CHARS_MAX = 32 * 1024 * 1024

/** Ends the attempt in hand of an executing task and decides what becomes of the task. `random` is in [0, 1). */
export function endAttempt(ledger: Ledger, task: TaskFacts, ending: Ending, random: number): void {
  const mission = missionOf(ledger, task)
  const close = (outcome: string, error: TaskError | null = null, outputHash: string | null = null): void => {
    ledger.endedAttempts.push({ taskId: task.id, attempt: task.attempt, outcome, error, outputHash })
  }
  if (ending.kind === 'completed' && mission.outputChars + ending.chars > OUTPUT_CHARS_MAX) {
    endAttempt(ledger, task, tooLarge(ending.chars), random)
    return
  }
  if (ending.kind === 'completed') {
    mission.outputChars += ending.chars
    close('completed', null, ending.outputHash)
    move(ledger, task, 'completed', { output: ending.output })
    return
  }
  if (ending.kind === 'rejected') {
    close('rejected', ending.error)
    addLetter(ledger, task, ending.error)
    move(ledger, task, 'rejected', { error: ending.error, reason: `rejected: ${cut(ending.error.message)}` })
    return
  }
  if (mission.canceling || ending.kind === 'canceled') {
    close(ending.kind === 'failed' ? ending.outcome : 'canceled', ending.kind === 'failed' ? ending.error : null)
    move(ledger, task, 'canceled', {
      reason: mission.canceling ? 'the mission is being canceled' : 'canceled by the agent',
    })
    return
  }
  if (ending.kind === 'released') {
    close('released')
    // Handing a task back is not a failure: the attempt that it cost is given back.
    task.maxAttempts += 1
    move(ledger, task, 'queued', { reason: 'handed back by its agent' })
    return
  }
  if (ending.kind === 'waiting') {
    const fault = waitFault(ending.wait, ending.known)
    if (fault !== undefined) {
      const failure = { code: fault.code, retryable: false }
      endAttempt(ledger, task, { kind: 'failed', outcome: 'failed', error: fault, failure }, random)
      return
    }
    close('waiting')
    // To wait is not to fail: the attempt that it cost is given back.
    task.maxAttempts += 1
    suspend(ledger, task, ending.wait, ending.known)
    return
  }
  close(ending.outcome, ending.error)
  // Attempts that were given back, for a wait say, make no back-off longer.
  const back = Math.max(0, task.maxAttempts - task.retry.maxAttempts)
  const decision = decideRetry(task.retry, task.attempt - back, task.maxAttempts - back, ending.failure, random)
  if (decision.kind === 'retry') {
    move(ledger, task, 'scheduled', {
      error: ending.error,
      delayMs: decision.delayMs,
      reason: `attempt ${task.attempt} ended: ${ending.error.code}`,
    })
    return
  }
  exhaust(ledger, task, ending.error, decision.onExhausted)
}

/** Ends the attempt of a task that a person has to look at before it goes on. It was no failure: the attempt is given back. */
export function pauseAttempt(ledger: Ledger, task: TaskFacts, outcome: string, error: TaskError): void {
  ledger.endedAttempts.push({ taskId: task.id, attempt: task.attempt, outcome, error, outputHash: null })
  if (missionOf(ledger, task).canceling) {
    move(ledger, task, 'canceled', { error, reason: 'the mission is being canceled' })
    return
  }
  task.maxAttempts += 1
  addLetter(ledger, task, error)
  move(ledger, task, 'paused', { error, reason: cut(error.message) })
}

/** A reason is one line; the whole message is in the error. No character is cut in half. */
const cut = (message: string): string => message.slice(0, REASON_MAX).toWellFormed()
const REASON_MAX = 500

function tooLarge(chars: number): Ending {
  const code = 'output_too_large'
  const message = `with these ${chars} the outputs of the mission would have more than ${OUTPUT_CHARS_MAX} characters; store what is large as an artifact`
  return { kind: 'failed', outcome: 'failed', error: { code, message }, failure: { code, retryable: false } }
}

/** Fails a task that no attempt is running of, or pauses it for a person; either way it becomes a dead letter. */
export function exhaust(ledger: Ledger, task: TaskFacts, error: TaskError, onExhausted: 'fail' | 'pause'): void {
  addLetter(ledger, task, error)
  if (onExhausted === 'pause')
    move(ledger, task, 'paused', { error, reason: 'attempts exhausted; replay or discard its dead letter' })
  else move(ledger, task, 'failed', { error })
}

function addLetter(ledger: Ledger, task: TaskFacts, error: TaskError): void {
  ledger.deadLetters.push({ taskId: task.id, missionId: task.missionId, tenantId: task.tenantId, key: task.key, error })
  tell(ledger, missionOf(ledger, task), 'deadletter.added', task.id, { key: task.key, error })
}
