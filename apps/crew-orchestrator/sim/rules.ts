/** What rows must say by themselves and about each other. */
import type { AttemptRow, MissionRow, TaskRow } from './database/rows.ts'

/** Thrown with the invariant's number first. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

/** By name, so that a fault in the tables of the core cannot hide itself. */
export const ENDS: ReadonlySet<string> = new Set(['completed', 'failed', 'canceled', 'rejected', 'skipped'])

export function must(holds: boolean, invariant: string, what: string): void {
  if (!holds) throw new Violation(`${invariant} ${what}`)
}

export function checkTaskChange(before: TaskRow, after: TaskRow, begunAt: number): void {
  must(
    !ENDS.has(before.state) || before.state === after.state,
    'O1',
    `${after.key} left ${before.state} for ${after.state}`,
  )
  must(after.version >= before.version, 'O1', `the version of ${after.key} went back`)
  if (before.state === 'scheduled' && after.state === 'queued')
    must((before.available_at ?? 0) <= begunAt, 'O17', `${after.key} was queued before its back-off was over`)
}

/** Attempts that a task has spent; those that were given back are not counted. */
const SPENT: ReadonlySet<string> = new Set(['failed', 'lease_lost', 'timed_out', 'rejected'])
/** Codes after which a task may fail with attempts left. */
const FINAL: ReadonlySet<string> = new Set([
  'hopeless',
  'total_timeout',
  'queue_timeout',
  'output_too_large',
  'wait_repeated',
  'verification_failed',
])

/** O14: as many attempts as the policy allows are spent before a task is given up, and never more. */
export function checkBudget(task: TaskRow, list: readonly AttemptRow[]): void {
  const spent = list.filter((one) => one.outcome !== null && SPENT.has(one.outcome)).length
  const most = task.retry.maxAttempts
  must(spent <= most, 'O14', `${task.key} spent ${spent} of ${most} attempts`)
  must(
    task.state !== 'scheduled' || spent < most,
    'O14',
    `${task.key} is tried again after ${spent} of ${most} attempts`,
  )
  const gaveUp = task.state === 'failed' && list.length > 0 && !FINAL.has(task.error?.code ?? '')
  must(!gaveUp || spent === most, 'O14', `${task.key} was given up after ${spent} of ${most} attempts`)
}

/** O9 and O10. */
export function checkNeeds(task: TaskRow, parents: readonly TaskRow[], first: AttemptRow | undefined): void {
  const open = parents.filter((parent) => parent.ended_at === null).length
  must(
    task.ended_at !== null || task.blocked_by === open,
    'O10',
    `${task.key} is blocked by ${task.blocked_by} and waits for ${open}`,
  )
  if (first === undefined) return
  for (const parent of parents) {
    // What undoes one task begins when what undoes another has ended, well or not.
    const isDone =
      parent.state === 'completed' ||
      (parent.state === 'skipped' && parent.error === null) ||
      (parent.policy?.compensates !== undefined && ENDS.has(parent.state))
    must(
      isDone && (parent.ended_at ?? Number.POSITIVE_INFINITY) <= first.started_at,
      'O9',
      `${task.key} began before ${parent.key} was done`,
    )
  }
}

/** O11: how a mission ends follows from its tasks. */
export function checkResult(mission: MissionRow, tasks: readonly TaskRow[]): void {
  if (mission.ended_at === null || mission.cancel_requested_at !== null) return
  const isClean = tasks.every(
    (task) =>
      task.state === 'completed' ||
      (task.state === 'skipped' && task.error === null) ||
      task.policy?.tolerated === true,
  )
  must(
    (mission.state === 'completed') === isClean,
    'O11',
    `mission ${mission.state} with ${tasks.map((task) => task.state).join()}`,
  )
}
