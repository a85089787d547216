import type { TaskError } from '@hypercode/contracts'
import type { TaskFacts } from './facts.ts'
import { missionOf, move, tell } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { stopMission, stopsMission } from './stop-mission.ts'

/** Fails a task that no attempt is running of, or pauses it for a person, with its mission or alone; in any case it becomes a dead letter. */
export function exhaust(ledger: Ledger, task: TaskFacts, error: TaskError, onExhausted: 'fail' | 'pause'): void {
  const stops = onExhausted === 'fail' && stopsMission(ledger, task)
  addLetter(ledger, task, error)
  if (stops) {
    move(ledger, task, 'paused', { error, reason: 'it failed, and paused its mission; retry or skip it, and resume' })
    stopMission(ledger, task, error)
  } else if (onExhausted === 'pause') {
    move(ledger, task, 'paused', { error, reason: 'attempts exhausted; replay or discard its dead letter' })
  } else move(ledger, task, 'failed', { error })
}

/** Ends a task that fails without an attempt having failed; where its mission pauses instead, people find it among the dead letters. */
export function fail(ledger: Ledger, task: TaskFacts, error: TaskError, to: 'failed' | 'rejected' = 'failed'): void {
  if (stopsMission(ledger, task)) exhaust(ledger, task, error, 'fail')
  else move(ledger, task, to, { error })
}

export function addLetter(ledger: Ledger, task: TaskFacts, error: TaskError): void {
  ledger.deadLetters.push({ taskId: task.id, missionId: task.missionId, tenantId: task.tenantId, key: task.key, error })
  tell(ledger, missionOf(ledger, task), 'deadletter.added', task.id, { key: task.key, error })
}

/** A reason is one line; the whole message is in the error. No character is cut in half. */
export const cutReason = (message: string): string => message.slice(0, REASON_MAX).toWellFormed()
const REASON_MAX = 500
