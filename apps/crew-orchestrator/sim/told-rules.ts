/**
 * O19: the events of a mission are numbered without a gap, and say of it and of its tasks what the rows say: no more and no less, each
 * once. Moves that the core does not know (O2), and such as lead out of an end (O1), are not told.
 */
import type { TaskState } from '@hypercode/contracts'
import { TASK_STATE_AFTER } from '@hypercode/testkit/invariants'
import { TASK_MOVES } from '../src/domain/states.ts'
import type { EventRow, MissionRow, TaskRow } from './database/rows.ts'
import { ENDS, must } from './rules.ts'

export interface ToldRules {
  /** The next event that was committed. */
  hear(event: EventRow): void
  checkTask(task: TaskRow): void
  checkMission(mission: MissionRow): void
}

interface ToldMission {
  seq: number
  isStarted: boolean
  isPaused: boolean
  isOver: boolean
}

const NOTHING_TOLD: ToldMission = { seq: 0, isStarted: false, isPaused: false, isOver: false }

export function createToldRules(): ToldRules {
  const tasks = new Map<string, { state: TaskState; attempt: number }>()
  const missions = new Map<string, ToldMission>()

  const hearMission = ({ mission_id: id, seq, type }: EventRow): void => {
    const known = missions.get(id) ?? NOTHING_TOLD
    const starts = type === 'mission.started'
    must(seq === known.seq + 1, 'O19', `event ${seq} of ${id} after ${known.seq}`)
    must(!known.isOver, 'O1', `${type} after the end of mission ${id}`)
    must(!starts || !known.isStarted, 'O19', `${id} was told to start twice`)
    missions.set(id, {
      seq,
      isStarted: known.isStarted || starts,
      isPaused: type === 'mission.paused' || (known.isPaused && type !== 'mission.resumed'),
      isOver: ['mission.completed', 'mission.failed', 'mission.canceled'].includes(type),
    })
  }

  return {
    hear(event) {
      hearMission(event)
      const next = TASK_STATE_AFTER[event.type]
      if (event.task_id === null || next === undefined) return
      const task = tasks.get(event.task_id) ?? { state: 'blocked', attempt: 0 }
      must(!ENDS.has(task.state), 'O1', `${event.type} after ${task.state} of task ${event.task_id}`)
      must(TASK_MOVES[task.state].includes(next), 'O2', `task ${event.task_id}: ${task.state} → ${next}`)
      tasks.set(event.task_id, { state: next, attempt: task.attempt + (next === 'executing' ? 1 : 0) })
    },
    checkTask({ id, key, state, attempt }) {
      const told = tasks.get(id) ?? { state: 'blocked', attempt: 0 }
      must(
        told.state === state && told.attempt === attempt,
        'O19',
        `${key} is ${state}/${attempt} and was told to be ${told.state}/${told.attempt}`,
      )
    },
    checkMission({ id, state, event_seq, started_at, ended_at }) {
      const told = missions.get(id) ?? NOTHING_TOLD
      must(told.seq === event_seq, 'O19', `event_seq is ${event_seq}`)
      must(told.isStarted === (started_at !== null), 'O19', `mission ${state} was not told to start`)
      must(
        ended_at !== null || told.isPaused === (state === 'paused'),
        'O19',
        `mission ${state} was told to be ${told.isPaused ? 'paused' : 'not paused'}`,
      )
      must(told.isOver === (ended_at !== null), 'O19', `mission ${state} was not told to end`)
    },
  }
}
