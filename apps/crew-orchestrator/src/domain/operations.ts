/** What is done to many: to what an action is done, which words of a filter fit it, and how its progress is counted. */
import { MISSION_STATES, TASK_STATES } from '@hypercode/contracts'
import type { Fault, OperationAction, OperationFailure, OperationFilter } from '@hypercode/contracts'

export type OperationTarget = 'mission' | 'task' | 'deadLetter'

export const TARGET_OF: Readonly<Record<OperationAction, OperationTarget>> = {
  cancelMission: 'mission',
  pauseMission: 'mission',
  resumeMission: 'mission',
  retryMission: 'mission',
  cancelTask: 'task',
  retryTask: 'task',
  skipTask: 'task',
  replayDeadLetter: 'deadLetter',
  discardDeadLetter: 'deadLetter',
}

/** Conditions that mean nothing for a target. */
const FOREIGN: Readonly<Record<OperationTarget, readonly (keyof OperationFilter)[]>> = {
  mission: ['missionId', 'key', 'queue', 'skill'],
  task: [],
  deadLetter: ['state'],
}
const NAME: Readonly<Record<OperationTarget, string>> = {
  mission: 'missions',
  task: 'tasks',
  deadLetter: 'dead letters',
}
const STATES: Readonly<Record<OperationTarget, readonly string[]>> = {
  mission: MISSION_STATES,
  task: TASK_STATES,
  deadLetter: [],
}

/** Everything that is wrong with a filter. A condition that would be passed over could change what nobody meant. */
export function filterFaults(action: OperationAction, filter: OperationFilter): Fault[] {
  const target = TARGET_OF[action]
  const { all, ...conditions } = filter
  const named = Object.keys(conditions) as (keyof OperationFilter)[]
  const faults: Fault[] = named
    .filter((name) => FOREIGN[target].includes(name))
    .map((name) => ({ pointer: `/filter/${name}`, message: `${NAME[target]} are not found by it` }))
  if (all === undefined && named.length === 0) {
    const fix = 'Name at least one condition, or say "all": true.'
    faults.push({ pointer: '/filter', message: 'says nothing', fix })
  }
  if (all !== undefined && named.length > 0)
    faults.push({ pointer: '/filter/all', message: 'stands alone, without conditions' })
  const { state } = filter
  if (state !== undefined && target !== 'deadLetter' && !STATES[target].includes(state))
    faults.push({ pointer: '/filter/state', message: `is no state of ${NAME[target]}` })
  return faults
}

/** What came of one target: it was changed, there was nothing to change any more, or it refused. */
export type Outcome = 'done' | 'skipped' | OperationFailure

export interface Tally {
  position: number
  done: number
  skipped: number
  failed: number
  failures: OperationFailure[]
}

/** Failures of which an operation keeps the reason. */
export const FAILURES_MAX = 20

export function tally(before: Tally, outcomes: readonly Outcome[]): Tally {
  const failures = outcomes.filter((outcome) => typeof outcome === 'object')
  return {
    position: before.position + outcomes.length,
    done: before.done + outcomes.filter((outcome) => outcome === 'done').length,
    skipped: before.skipped + outcomes.filter((outcome) => outcome === 'skipped').length,
    failed: before.failed + failures.length,
    failures: [...before.failures, ...failures].slice(0, FAILURES_MAX),
  }
}
