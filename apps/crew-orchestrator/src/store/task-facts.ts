import type { TaskError, TaskState } from '@hypercode/contracts'
import { sql } from 'kysely'
import type { MissionFacts, TaskFacts, TaskPolicy, Template } from '../domain/facts.ts'
import type { RetryPolicy } from '../domain/retry.ts'

/** The columns of `tasks t` that decisions look at. Input and output are left in the database: they may be large. */
export const TASK_FACTS =
  sql.raw(`t.id, t.tenant_id, t.mission_id, t.key, t.leaf, t.queue, t.requires, t.priority, t.state, t.reason, t.blocked_by,
  t.template, t.policy, t.concurrency_key, t.concurrency_limit, t.turn, t.held, t.parent_id, t.attempt, t.max_attempts, t.retry, t.queue_timeout_ms, t.attempt_timeout_ms, t.heartbeat_timeout_ms, t.total_timeout_ms, t.error`)

export interface TaskFactsRow {
  id: string
  tenant_id: string
  mission_id: string
  key: string
  leaf: boolean
  queue: string
  requires: string[]
  priority: number
  state: TaskState
  reason: string | null
  blocked_by: number
  template: Template | null
  policy: TaskPolicy | null
  concurrency_key: string | null
  concurrency_limit: number | null
  turn: number
  held: boolean
  parent_id: string | null
  attempt: number
  max_attempts: number
  retry: RetryPolicy
  queue_timeout_ms: number | null
  attempt_timeout_ms: number | null
  heartbeat_timeout_ms: number | null
  total_timeout_ms: number | null
  error: TaskError | null
}

/** `input` and `output` stay undefined, which `saveLedger` reads as "leave the column as it is". */
export function toTaskFacts(row: TaskFactsRow): TaskFacts {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    missionId: row.mission_id,
    key: row.key,
    leaf: row.leaf,
    queue: row.queue,
    requires: row.requires,
    priority: row.priority,
    state: row.state,
    reason: row.reason,
    blockedBy: row.blocked_by,
    template: row.template,
    policy: row.policy,
    concurrency:
      row.concurrency_key === null ? null : { key: row.concurrency_key, limit: row.concurrency_limit as number },
    turn: row.turn,
    held: row.held,
    parentId: row.parent_id,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    retry: row.retry,
    timeouts: {
      queueMs: row.queue_timeout_ms,
      attemptMs: row.attempt_timeout_ms,
      heartbeatMs: row.heartbeat_timeout_ms,
      totalMs: row.total_timeout_ms,
    },
    input: undefined,
    output: undefined,
    error: row.error,
    delayMs: undefined,
  }
}

export const MISSION_FACTS = sql.raw(
  'm.id, m.tenant_id, m.crew, m.state, m.input, m.error, m.open_tasks, m.total_tasks, m.output_chars, m.on_task_failure, m.cancel_requested_at, m.compensating_at, m.event_seq, m.correlation_id, m.traceparent',
)

export interface MissionFactsRow {
  id: string
  tenant_id: string
  crew: string
  state: MissionFacts['state']
  input: unknown
  error: TaskError | null
  open_tasks: number
  total_tasks: number
  output_chars: number
  on_task_failure: MissionFacts['onTaskFailure']
  cancel_requested_at: Date | null
  compensating_at: Date | null
  event_seq: number
  correlation_id: string
  traceparent: string | null
}

export const toMissionFacts = (row: MissionFactsRow): MissionFacts => ({
  id: row.id,
  tenantId: row.tenant_id,
  crew: row.crew,
  state: row.state,
  input: row.input,
  output: undefined,
  error: row.error,
  openTasks: row.open_tasks,
  totalTasks: row.total_tasks,
  queuedTasks: 0,
  filledChars: 0,
  outputChars: row.output_chars,
  onTaskFailure: row.on_task_failure,
  canceling: row.cancel_requested_at !== null,
  compensating: row.compensating_at !== null,
  eventSeq: row.event_seq,
  correlationId: row.correlation_id,
  traceparent: row.traceparent,
})
