/**
 * A mission that does not succeed undoes what it has done. Once all its tasks have ended, each that was completed and says how gets a task
 * that undoes it: the last completed first, one after the other. The mission ends when they have ended.
 *
 * C1 A task is undone once at most, and only after all tasks of its mission have ended.
 * C2 A compensation begins when the one before it has ended, however that ended.
 * C3 No cancel and no deadline of the mission ends a compensation: its own policy does, or a person.
 */
import { newId } from '@hypercode/contracts'
import type { Compensation, MissionFacts, TaskFacts } from './facts.ts'
import { baseOf, compensationKey } from './keys.ts'
import { missionOf, plan, tell } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { isMissionTerminal } from './states.ts'

/** What a mission fails with that could not undo everything. */
export const NOT_UNDONE = 'compensation_failed'

/** Characters of an error's message, and of what it says about one compensation. */
const MESSAGE_MAX = 8000
const NOTE_MAX = 500

export const isCompensation = (task: Pick<TaskFacts, 'policy'>): boolean => task.policy?.compensates !== undefined

/** All its tasks have ended, not all of them well, and what they have done still stands. */
export const mustCompensate = (mission: MissionFacts): boolean =>
  mission.openTasks === 0 &&
  !mission.compensating &&
  !isMissionTerminal(mission.state) &&
  (mission.error !== null || mission.canceling)

/** A completed task that says how it is undone. */
export type Undoable = Pick<TaskFacts, 'id' | 'key' | 'priority' | 'policy'>

/** Plans the compensations of `completed`, which stand in the order of their completion. Answers them in the order in which they run. */
export function planCompensations(
  ledger: Ledger,
  mission: MissionFacts,
  completed: readonly Undoable[],
): readonly TaskFacts[] {
  const undone = completed
    .toReversed()
    .flatMap((task) =>
      task.policy?.compensate === undefined ? [] : [compensationOf(mission, task, task.policy.compensate)],
    )
  if (undone.length === 0) return []
  mission.compensating = true
  // It was canceled while it was paused: to wait for a resume as well would leave it as it is. From here on it may be paused again.
  if (mission.state === 'paused') {
    mission.state = 'running'
    tell(ledger, mission, 'mission.resumed', null, { reason: 'it undoes what its tasks have done' })
  }
  tell(ledger, mission, 'mission.compensating', null, { tasks: undone.length })
  for (const [index, task] of undone.entries()) {
    const before = undone[index - 1]
    task.blockedBy = before === undefined ? 0 : 1
    plan(ledger, task, before === undefined ? [] : [before.id])
  }
  return undone
}

function compensationOf(mission: MissionFacts, task: Undoable, terms: Compensation): TaskFacts {
  const { queue, requires, retry, timeouts } = terms
  const at = `tasks.${baseOf(task.key)}`
  const input = 'input' in terms ? terms.input : { input: `\${${at}.input}`, output: `\${${at}.output}` }
  return {
    id: newId(),
    tenantId: mission.tenantId,
    missionId: mission.id,
    key: compensationKey(task.key),
    leaf: false,
    queue,
    requires,
    priority: task.priority,
    state: 'blocked',
    reason: null,
    blockedBy: 0,
    template: { input, reads: [] },
    policy: { compensates: task.key },
    concurrency: null,
    turn: 0,
    held: false,
    parentId: task.id,
    attempt: 0,
    maxAttempts: retry.maxAttempts,
    retry,
    timeouts,
    input: null,
    output: null,
    error: null,
    delayMs: 0,
  }
}

/** A compensation has ended. What it did not undo is what the mission ends with; one that a person skipped is as good as done. */
export function noteCompensation(ledger: Ledger, task: TaskFacts): void {
  if (task.state === 'completed' || task.state === 'skipped') return
  const mission = missionOf(ledger, task)
  const { error } = mission
  const why = task.error?.message ?? task.reason ?? task.state
  const note = `task ${task.policy?.compensates} is not undone: ${why}`.slice(0, NOTE_MAX)
  const before = error === null ? '' : `${error.code === NOT_UNDONE ? '' : `${error.code}: `}${error.message}; `
  mission.error = {
    code: NOT_UNDONE,
    // The beginning says why the mission did not succeed, the end what came last.
    message: `${before.slice(0, MESSAGE_MAX - NOTE_MAX)}${note}`.toWellFormed(),
    taskId: error?.code === NOT_UNDONE ? (error.taskId ?? task.id) : task.id,
  }
}
