import type { TaskError, Wait } from '@hypercode/contracts'
import type { TaskFacts } from './facts.ts'
import { addLetter, cutReason, exhaust } from './exhaust.ts'
import { missionOf, move } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { outputSizeFault } from './output-size.ts'
import { decideRetry } from './retry.ts'
import type { Failure } from './retry.ts'
import { isBeingCanceled } from './states.ts'
import { stopsMission } from './stop-mission.ts'
import { suspend, waitFault } from './suspend.ts'
import type { KnownWaits } from './suspend.ts'
import { verify } from './verification.ts'

/** How an attempt ended, as its agent reports it or as a sweep finds it. */
export type Ending =
  /** `chars` is the length of the output as JSON; `round` of its verification is 1 when left out. */
  | { kind: 'completed'; output: unknown; outputHash: string; chars: number; round?: number }
  | { kind: 'failed'; outcome: 'failed' | 'lease_lost' | 'timed_out'; error: TaskError; failure: Failure }
  | { kind: 'rejected'; error: TaskError }
  | { kind: 'canceled' }
  | { kind: 'released' }
  | { kind: 'waiting'; wait: Wait; known: KnownWaits }

/** Ends the attempt in hand of an executing task and decides what becomes of the task. `random` is in [0, 1). */
export function endAttempt(ledger: Ledger, task: TaskFacts, ending: Ending, random: number): void {
  const mission = missionOf(ledger, task)
  const canceling = isBeingCanceled(mission)
  const close = (outcome: string, error: TaskError | null = null, outputHash: string | null = null): void => {
    ledger.endedAttempts.push({ taskId: task.id, attempt: task.attempt, outcome, error, outputHash })
  }
  if (ending.kind === 'completed') {
    const fault = outputSizeFault(mission, ending.chars)
    if (fault !== undefined) {
      const failure = { code: fault.code, retryable: false }
      endAttempt(ledger, task, { kind: 'failed', outcome: 'failed', error: fault, failure }, random)
      return
    }
    if (task.policy?.verify !== undefined) {
      close('delivered', null, ending.outputHash)
      verify(ledger, task, task.policy.verify, { ...ending, round: ending.round ?? 1 })
      return
    }
    mission.outputChars += ending.chars
    close('completed', null, ending.outputHash)
    move(ledger, task, 'completed', { output: ending.output })
    return
  }
  if (ending.kind === 'rejected') {
    close('rejected', ending.error)
    if (stopsMission(ledger, task)) {
      exhaust(ledger, task, ending.error, 'fail')
      return
    }
    addLetter(ledger, task, ending.error)
    move(ledger, task, 'rejected', { error: ending.error, reason: `rejected: ${cutReason(ending.error.message)}` })
    return
  }
  if (ending.kind === 'canceled' && stopsMission(ledger, task)) {
    const error = { code: 'canceled', message: 'its agent canceled it, and nobody had asked for that' }
    close('canceled', error)
    exhaust(ledger, task, error, 'fail')
    return
  }
  if (canceling || ending.kind === 'canceled') {
    close(ending.kind === 'failed' ? ending.outcome : 'canceled', ending.kind === 'failed' ? ending.error : null)
    move(ledger, task, 'canceled', {
      reason: canceling ? 'the mission is being canceled' : 'canceled by the agent',
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
  if (isBeingCanceled(missionOf(ledger, task))) {
    move(ledger, task, 'canceled', { error, reason: 'the mission is being canceled' })
    return
  }
  task.maxAttempts += 1
  addLetter(ledger, task, error)
  move(ledger, task, 'paused', { error, reason: cutReason(error.message) })
}
