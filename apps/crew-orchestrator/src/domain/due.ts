import type { Wait } from '@hypercode/contracts'
import type { DueApproval } from './approvals.ts'
import { timeApproval } from './close-approval.ts'
import type { TaskFacts } from './facts.ts'
import { endAttempt } from './end-attempt.ts'
import { exhaust } from './exhaust.ts'
import type { Ledger } from './ledger.ts'
import { timeWait } from './waits.ts'
import { missionOf, move } from './ledger.ts'
import { isBeingCanceled } from './states.ts'
import { stopMission, stopsMission } from './stop-mission.ts'

/** Which instants of a task lie in the past, by the clock of the database. */
export interface Overdue {
  lease: boolean
  attempt: boolean
  progress: boolean
  queue: boolean
  total: boolean
  available: boolean
}

export const NOTHING_OVERDUE: Overdue = {
  lease: false,
  attempt: false,
  progress: false,
  queue: false,
  total: false,
  available: false,
}

/** Decides what a sweep does with a task whose time has come. `random` is in [0, 1); `waited` is what a waiting task waits for. */
export function decideDue(
  ledger: Ledger,
  task: TaskFacts,
  overdue: Overdue,
  random: number,
  waited: { wait?: { name: string; kind: Wait['kind'] } | undefined; approval?: DueApproval | undefined } = {},
): void {
  const canceling = isBeingCanceled(missionOf(ledger, task))
  if (task.state === 'executing') {
    const found = overdueAttempt(task, overdue)
    if (found !== undefined) endAttempt(ledger, task, found, random)
  } else if (canceling) {
    move(ledger, task, 'canceled', { reason: 'the mission is being canceled' })
  } else if (overdue.total) {
    outOfTime(ledger, task)
  } else if (task.state === 'queued' && overdue.queue) {
    exhaust(
      ledger,
      task,
      { code: 'queue_timeout', message: `no agent took the task in time; it needs the skill ${task.queue}` },
      'fail',
    )
  } else if (task.state === 'waiting' && overdue.available && waited.wait !== undefined) {
    timeWait(ledger, task, waited.wait)
  } else if (
    (task.state === 'input_required' || task.state === 'verifying') &&
    overdue.available &&
    waited.approval !== undefined
  ) {
    timeApproval(ledger, task, waited.approval)
  } else if (task.state === 'scheduled' && overdue.available) {
    move(ledger, task, 'queued')
  }
}

const TOTAL_TIMEOUT = { code: 'total_timeout', message: 'the task was not done within its total time' } as const

/** Its total time is over. Where its mission pauses, what waits is not cut off: it waits on, and has as much time again. */
function outOfTime(ledger: Ledger, task: TaskFacts): void {
  const waits = task.state === 'waiting' || task.state === 'input_required'
  if (!waits || !stopsMission(ledger, task)) {
    exhaust(ledger, task, TOTAL_TIMEOUT, 'fail')
    return
  }
  stopMission(ledger, task, TOTAL_TIMEOUT)
  ledger.prolonged.push(task.id)
}

function overdueAttempt(task: TaskFacts, overdue: Overdue): Parameters<typeof endAttempt>[2] | undefined {
  const timedOut = (code: string, message: string, retryable: boolean) =>
    ({ kind: 'failed', outcome: 'timed_out', error: { code, message }, failure: { code, retryable } }) as const
  if (overdue.total) return timedOut(TOTAL_TIMEOUT.code, TOTAL_TIMEOUT.message, false)
  if (overdue.attempt) return timedOut('attempt_timeout', `attempt ${task.attempt} took longer than it may`, true)
  if (overdue.progress) return timedOut('heartbeat_timeout', `attempt ${task.attempt} showed no progress in time`, true)
  if (!overdue.lease) return undefined
  const error = { code: 'lease_lost', message: `the agent of attempt ${task.attempt} stopped beating` }
  return { kind: 'failed', outcome: 'lease_lost', error, failure: { code: 'lease_lost', retryable: true } }
}
