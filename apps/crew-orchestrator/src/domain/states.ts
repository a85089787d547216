import type { MissionState, TaskState } from '@hypercode/contracts'
import { InvariantError } from './errors.ts'
import type { MissionFacts } from './facts.ts'

/** Every move that a task may make. Whatever is not here is refused, so a terminal state is never left. */
export const TASK_MOVES: Readonly<Record<TaskState, readonly TaskState[]>> = {
  blocked: ['queued', 'waiting', 'input_required', 'paused', 'completed', 'failed', 'skipped', 'canceled'],
  scheduled: ['queued', 'failed', 'paused', 'canceled', 'skipped'],
  queued: ['executing', 'failed', 'paused', 'canceled', 'skipped'],
  executing: [
    'queued',
    'scheduled',
    'verifying',
    'waiting',
    'input_required',
    'paused',
    'completed',
    'failed',
    'canceled',
    'rejected',
  ],
  waiting: ['queued', 'paused', 'completed', 'failed', 'canceled', 'skipped'],
  input_required: ['queued', 'paused', 'rejected', 'canceled', 'failed', 'skipped'],
  verifying: ['completed', 'queued', 'paused', 'failed', 'canceled'],
  paused: ['queued', 'waiting', 'input_required', 'canceled', 'failed', 'skipped'],
  completed: [],
  failed: [],
  canceled: [],
  rejected: [],
  skipped: [],
}

export const MISSION_MOVES: Readonly<Record<MissionState, readonly MissionState[]>> = {
  submitted: ['running', 'paused', 'completed', 'failed', 'canceled'],
  running: ['paused', 'completed', 'failed', 'canceled'],
  // What runs comes to its end while it is paused; one that never began is as it was when it is resumed.
  paused: ['submitted', 'running', 'completed', 'failed', 'canceled'],
  completed: [],
  failed: [],
  canceled: [],
}

export const isTerminal = (state: TaskState): boolean => TASK_MOVES[state].length === 0
export const isMissionTerminal = (state: MissionState): boolean => MISSION_MOVES[state].length === 0

/** Terminal states after which what depends on the task may go on. */
export const isDone = (state: TaskState): boolean => state === 'completed' || state === 'skipped'

/** What is open in the mission is to end. What a mission that compensates has open came after its cancel. */
export const isBeingCanceled = ({ canceling, compensating }: MissionFacts): boolean => canceling && !compensating

export function assertTaskMove(from: TaskState, to: TaskState): void {
  if (!TASK_MOVES[from].includes(to)) throw new InvariantError(`task: ${from} → ${to} is not a move`)
}

export function assertMissionMove(from: MissionState, to: MissionState): void {
  if (!MISSION_MOVES[from].includes(to)) throw new InvariantError(`mission: ${from} → ${to} is not a move`)
}
