import type { TaskError } from '@hypercode/contracts'
import type { TaskFactsRow, MissionFactsRow } from '../../src/store/task-facts.ts'

/** Instants are milliseconds of the database's clock. */
export type Instant = number | null

export interface TaskRow extends TaskFactsRow {
  lease_owner: string | null
  lease_incarnation: number | null
  claim_id: string | null
  lease_expires_at: Instant
  attempt_deadline_at: Instant
  progress_deadline_at: Instant
  queue_deadline_at: Instant
  total_deadline_at: Instant
  available_at: Instant
  input: unknown
  output: unknown
  version: number
  started_at: Instant
  ended_at: Instant
}

export interface MissionRow extends Omit<MissionFactsRow, 'cancel_requested_at' | 'compensating_at'> {
  output: unknown
  idempotency_key: string | null
  request_hash: string | null
  cancel_requested_at: Instant
  compensating_at: Instant
  deadline_at: Instant
  traceparent: string | null
  version: number
  started_at: Instant
  ended_at: Instant
}

export interface AttemptRow {
  task_id: string
  attempt: number
  tenant_id: string
  agent_instance_id: string
  incarnation: number
  claim_id: string
  started_at: number
  ended_at: Instant
  outcome: string | null
  output_hash: string | null
  error: TaskError | null
}

export interface InstanceRow {
  id: string
  tenant_id: string
  subject: string
  skills: readonly string[]
  slots: number
  lifecycle: string
  incarnation: number
  heartbeat_seq: number
  lease_expires_at: Instant
}

export interface EdgeRow {
  tenant_id: string
  task_id: string
  depends_on: string
}

export interface EventRow {
  mission_id: string
  seq: number
  tenant_id: string
  type: string
  task_id: string | null
  body: Record<string, unknown>
}

export interface LetterRow {
  id: string
  task_id: string
  mission_id: string
  tenant_id: string
  resolution: string | null
}

export interface StepRow {
  task_id: string
  name: string
  tenant_id: string
  attempt: number
  request_hash: string | null
  response: unknown
}

export interface EffectRow {
  task_id: string
  name: string
  tenant_id: string
  attempt: number
  state: 'intent' | 'done' | 'unknown'
  idempotent: boolean
  request_hash: string | null
  response: unknown
  created_at: number
  done_at: Instant
  resolved_by: string | null
}

export interface WaitRow {
  task_id: string
  name: string
  tenant_id: string
  mission_id: string
  kind: string
  signal: string | null
  fire_at: Instant
  created_at: number
  fired_at: Instant
}

export interface SignalRow {
  id: string
  mission_id: string
  name: string
  task_key: string | null
  payload: unknown
  idempotency_key: string | null
  request_hash: string
  taken_by: string | null
  taken_at: Instant
}

export interface ApprovalRow {
  id: string
  tenant_id: string
  mission_id: string
  task_id: string
  task_key: string
  wait: string | null
  verifies: number | null
  title: string
  data: unknown
  hash: string
  approvers: readonly string[]
  quorum: number
  round: number
  state: 'open' | 'approved' | 'rejected' | 'expired' | 'withdrawn'
  on_timeout: 'reject' | 'approve'
  deadline_at: Instant
  escalate_at: Instant
  escalate_to: readonly string[]
  escalated_at: Instant
  created_at: number
  decided_at: Instant
}

export interface VerificationRow {
  task_id: string
  round: number
  tenant_id: string
  mission_id: string
  attempt: number
  kind: string
  state: 'open' | 'passed' | 'failed' | 'withdrawn'
  reason: string | null
  verifier_task_id: string | null
  approval_id: string | null
  decided_at: Instant
}

export interface DecisionRow {
  approval_id: string
  round: number
  client: string
  tenant_id: string
  subject: string
  verdict: string
  comment: string | null
  hash: string
  at: number
}

export interface ControlRow {
  tenant_id: string
  queue: string
  paused_at: Instant
  paused_by: string | null
  max_executing: number | null
}

export interface OutboxRow {
  id: string
  payload: unknown
  next_try_at: number
  tries: number
}

export interface Rows {
  tasks: TaskRow
  missions: MissionRow
  attempts: AttemptRow
  agent_instances: InstanceRow
  task_dependencies: EdgeRow
  mission_events: EventRow
  dead_letters: LetterRow
  steps: StepRow
  effects: EffectRow
  waits: WaitRow
  signals: SignalRow
  approvals: ApprovalRow
  approval_decisions: DecisionRow
  verifications: VerificationRow
  queue_controls: ControlRow
  outbox: OutboxRow
}
export type TableName = keyof Rows

/** The primary key of each table, as one text. */
export const KEYS: { readonly [T in TableName]: (row: Rows[T]) => string } = {
  tasks: (row) => row.id,
  missions: (row) => row.id,
  attempts: (row) => `${row.task_id}/${row.attempt}`,
  agent_instances: (row) => row.id,
  task_dependencies: (row) => `${row.depends_on}/${row.task_id}`,
  mission_events: (row) => `${row.mission_id}/${row.seq}`,
  dead_letters: (row) => row.id,
  steps: (row) => `${row.task_id}/${row.name}`,
  effects: (row) => `${row.task_id}/${row.name}`,
  waits: (row) => `${row.task_id}/${row.name}`,
  signals: (row) => row.id,
  approvals: (row) => row.id,
  approval_decisions: (row) => `${row.approval_id}/${row.round}/${row.client}`,
  verifications: (row) => `${row.task_id}/${row.round}`,
  queue_controls: (row) => `${row.tenant_id}/${row.queue}`,
  outbox: (row) => row.id,
}

/** The earliest of some instants, as `least` has it; null when there is none. */
export const least = (...instants: Instant[]): Instant =>
  instants.reduce((first, one) => (first === null || (one !== null && one < first) ? one : first), null)

/** `later(at, ms)` as `at + ms * interval '1 millisecond'`: nothing when there is no span. */
export const later = (at: number, ms: number | null | undefined): Instant =>
  ms === null || ms === undefined ? null : at + ms

/** The generated column `due_at` of tasks, as the migration about waits makes it. */
export function dueAt(task: TaskRow): Instant {
  switch (task.state) {
    case 'executing':
      return least(task.lease_expires_at, task.attempt_deadline_at, task.progress_deadline_at, task.total_deadline_at)
    case 'scheduled':
    case 'waiting':
    case 'input_required':
    case 'verifying':
      return least(task.available_at, task.total_deadline_at)
    case 'queued':
      return least(task.queue_deadline_at, task.total_deadline_at)
    case 'paused':
      return task.total_deadline_at
    default:
      return null
  }
}

/** The generated column `rank_at` of tasks. */
export const rankAt = (task: TaskRow): number => (task.available_at ?? 0) + task.turn * 10_000 - task.priority * 600_000
