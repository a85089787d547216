import type { MissionState, TaskError, TaskState } from '@hypercode/contracts'
import type { RetryPolicy } from './retry.ts'

/** What is filled in once the dependencies of a task are done. */
export interface Template {
  input: unknown
  when?: string
  forEach?: string | readonly unknown[]
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

/** What a task is held to beside retries and time-outs; the database keeps it and does not look into it. */
export interface TaskPolicy {
  /** Of a forEach task: with `continue`, elements that do not succeed are null in its output. */
  childFailure?: 'continue'
  /** Of an element: the mission does not fail when it does. */
  tolerated?: true
  /** JSON Schema that its output must fit. */
  outputSchema?: object
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
  /** The forEach task that this one is an element of. */
  parentId: string | null
  attempt: number
  maxAttempts: number
  retry: RetryPolicy
  timeouts: Timeouts
  input: unknown
  output: unknown
  error: TaskError | null
  /**
   * From now until it may be claimed, or until its wait is over; null when it waits for no instant. Undefined for what the database holds
   * and nobody has moved.
   */
  delayMs: number | null | undefined
}

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
  /** Characters of the inputs that were filled in while these decisions are taken. */
  filledChars: number
  /** Characters of the outputs of its tasks so far; what a forEach task gathers is not counted again. */
  outputChars: number
  onTaskFailure: 'fail' | 'continue'
  /** Cancel was asked for, by a person or by the failure of a task. */
  canceling: boolean
  eventSeq: number
  correlationId: string
}
