/** `onTaskFailure: pause`: a task that would fail waits for a person instead, and its mission begins nothing meanwhile. */
import type { TaskError } from '@hypercode/contracts'
import type { TaskFacts } from './facts.ts'
import { missionOf, tell } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { TASK_MOVES, assertMissionMove } from './states.ts'

/** Whether the failure of the task is one that a person shall look at before anything follows from it. */
export function stopsMission(ledger: Ledger, task: TaskFacts): boolean {
  const { onTaskFailure, canceling, compensating } = missionOf(ledger, task)
  if (onTaskFailure !== 'pause' || canceling || compensating || task.policy?.tolerated === true) return false
  return TASK_MOVES[task.state].includes('paused')
}

/** Pauses the mission of a task that would have failed. What runs comes to its end. */
export function stopMission(ledger: Ledger, task: TaskFacts, error: TaskError): void {
  const mission = missionOf(ledger, task)
  if (mission.state === 'paused') return
  assertMissionMove(mission.state, 'paused')
  mission.state = 'paused'
  ledger.pausing.add(mission.id)
  const reason = `task ${task.key} failed: ${error.message}`.slice(0, REASON_MAX).toWellFormed()
  tell(ledger, mission, 'mission.paused', null, { reason, taskId: task.id, code: error.code })
  for (const one of [...ledger.changed, ...ledger.added])
    if (one.missionId === mission.id && one.state === 'queued') one.held = true
}

/** Characters; the whole message is in the error of the task. */
const REASON_MAX = 500
