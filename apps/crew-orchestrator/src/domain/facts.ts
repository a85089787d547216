import type { MissionState, TaskError, TaskState } from '@hypercode/contracts'
import type { ApprovalTerms } from './approvals.ts'
import type { RetryPolicy } from './retry.ts'
import type { Verify } from './verify-terms.ts'

/** What is filled in once the dependencies of a task are done. */
export interface Template {
  input: unknown
  when?: string
  forEach?: string | readonly unknown[]
  /** Of a task with a concurrency key that has references. */
  concurrencyKey?: string
  /** Keys of the tasks whose outputs it looks at. */
  reads: readonly string[]
}

/** Limits of a task, in milliseconds. */
export interface Timeouts {
  queueMs: number | null
  attemptMs: number | null
  heartbeatMs: number | null
  totalMs: number | null
}

/** Who undoes a task, and how. */
export interface Compensation {
  queue: string
  requires: readonly string[]
  retry: RetryPolicy
  timeouts: Timeouts
  /** Template; without one it is the input and the output of the task. */
  input?: unknown
}

/** What a task is held to beside retries and time-outs; the database keeps it and does not look into it. */
export interface TaskPolicy {
  /** Of a forEach task: with `continue`, elements that do not succeed are null in its output. */
  childFailure?: 'continue'
  /** Of an element: the mission does not fail when it does. */
  tolerated?: true
  /** What people must have approved before it begins. */
  approval?: ApprovalTerms
  /** JSON Schema that its output must fit. */
  outputSchema?: object
  /** What must pass its output before it is completed. */
  verify?: Verify
  /** Of a task that verifies the one which is its parent: the round. */
  verifies?: number
  /** Of a task of a manager: how many managers, one planned by the other, may plan from here on. */
  plans?: number
  /** Of a planned task: the name of the plan that it belongs to. */
  plan?: string
  /** What undoes it, once it is completed, when its mission does not succeed. */
  compensate?: Compensation
  /** Of a compensation: the key of the task that it undoes. */
  compensates?: string
  /** A stored crew (`name` or `name@version`) whose mission does its work; its forEach elements have one each. */
  crew?: string
}

export interface Concurrency {
  key: string
  limit: number
}

/** A task as the decisions see it. */
export interface TaskFacts {
  id: string
  tenantId: string
  missionId: string
  key: string
  leaf: boolean
  queue: string
  requires: readonly string[]
  priority: number
  state: TaskState
  reason: string | null
  blockedBy: number
  template: Template | null
  policy: TaskPolicy | null
  /** At most `limit` tasks of the tenant with the same key execute at once. */
  concurrency: Concurrency | null
  /** How many tasks its mission had queued before it in the same transaction: they take turns with those of other missions. */
  turn: number
  /** Queued in a mission that is paused: no claim sees it. */
  held: boolean
  /** The task of another mission that has done its work. */
  keptFrom?: string
  /** The forEach task that this one is an element of. */
  parentId: string | null
  attempt: number
  maxAttempts: number
  retry: RetryPolicy
  timeouts: Timeouts
  input: unknown
  /** Undefined for what the database holds and nobody has looked at. */
  output: unknown
  error: TaskError | null
  /**
   * From now until it may be claimed, or until its wait is over; null when it waits for no instant. Undefined for what the database holds
   * and nobody has moved.
   */
  delayMs: number | null | undefined
}

/** What the failure of a task does to its mission. */
export type OnTaskFailure = 'fail' | 'continue' | 'pause'

/** A mission as the decisions see it; its row is locked while they are taken. */
export interface MissionFacts {
  id: string
  tenantId: string
  crew: string
  state: MissionState
  input: unknown
  output: unknown
  error: TaskError | null
  openTasks: number
  totalTasks: number
  /** Tasks that were queued while these decisions are taken. */
  queuedTasks: number
  /** Characters of the inputs that were filled in while these decisions are taken. */
  filledChars: number
  /** Characters of the outputs of its tasks so far; what a forEach task gathers is not counted again. */
  outputChars: number
  onTaskFailure: OnTaskFailure
  /** Cancel was asked for, by a person or by the failure of a task. */
  canceling: boolean
  /** All its tasks have ended, not all of them well, and what they have done is being undone. */
  compensating: boolean
  eventSeq: number
  correlationId: string
  traceparent: string | null
}
