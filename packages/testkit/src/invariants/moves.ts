import type { TaskState } from '@hypercode/contracts'

/**
 * Every move that a task may make, as it is documented. This is not the table by which the orchestrator decides: a move that is added
 * there must be added here by somebody who means it.
 */
export const LEGAL_TASK_MOVES: Readonly<Record<TaskState, readonly TaskState[]>> = {
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

/** The state of a task after an event about it. Events that are not here change no state. */
export const TASK_STATE_AFTER: Readonly<Record<string, TaskState>> = {
  'task.queued': 'queued',
  'task.claimed': 'executing',
  'task.retry.scheduled': 'scheduled',
  'task.waiting': 'waiting',
  'task.input_required': 'input_required',
  'task.verifying': 'verifying',
  'task.paused': 'paused',
  'task.completed': 'completed',
  'task.failed': 'failed',
  'task.rejected': 'rejected',
  'task.canceled': 'canceled',
  'task.skipped': 'skipped',
}
