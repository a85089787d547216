/** `onTaskFailure: pause`: a task that would fail waits for a person instead, and its mission begins nothing meanwhile. */
import type { TaskFacts } from './facts.ts'
import { missionOf, tell } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { TASK_MOVES, assertMissionMove } from './states.ts'

/** Whether the failure of the task is one that a person shall look at, and one that another attempt may help. */
export function stopsMission(ledger: Ledger, task: TaskFacts): boolean {
  const { onTaskFailure, canceling, compensating } = missionOf(ledger, task)
  if (onTaskFailure !== 'pause' || canceling || compensating || task.policy?.tolerated === true) return false
  return TASK_MOVES[task.state].includes('paused')
}

/** Pauses the mission of a task that was paused instead of failing. What runs comes to its end. */
export function stopMission(ledger: Ledger, task: TaskFacts): void {
  const mission = missionOf(ledger, task)
  if (mission.state === 'paused') return
  assertMissionMove(mission.state, 'paused')
  mission.state = 'paused'
  ledger.pausing.add(mission.id)
  tell(ledger, mission, 'mission.paused', null, { reason: `task ${task.key} failed`, taskId: task.id })
  for (const one of [...ledger.changed, ...ledger.added])
    if (one.missionId === mission.id && one.state === 'queued') one.held = true
}
