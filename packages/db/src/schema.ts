import type { Health, Labels, Lifecycle, MissionState, Scope, Skill, TaskError, TaskState } from '@hypercode/contracts'
import type { ColumnType, Generated, JSONColumnType, Kysely, Selectable, Transaction } from 'kysely'
import type { ApprovalDecisionTable, ApprovalTable } from './approval-tables.ts'
import type { MissionBudgetTable } from './budget-tables.ts'
import type { Instant, Jsonb, SetOnce } from './columns.ts'
import type { EffectTable } from './effect-tables.ts'
import type { MissionContextTable } from './crew-tables.ts'
import type {
  BlueprintAliasTable,
  BlueprintTable,
  FactoryInstanceTable,
  InstanceLogTable,
  PromotionTable,
  SpawnTable,
} from './factory-tables.ts'
import type { GymLiveScoreTable, GymLiveWatchTable, GymRunTable, GymSampleTable, GymSuiteTable } from './gym-tables.ts'
import type { OperationTable } from './operation-tables.ts'
import type { QueueControlTable } from './queue-tables.ts'
import type { ScheduleTable } from './schedule-tables.ts'
import type { VerificationTable } from './verification-tables.ts'
import type { SignalTable, WaitTable } from './wait-tables.ts'

export interface TenantTable {
  id: string
  name: string
  created_at: SetOnce
}

export interface ClientTable {
  id: string
  tenant_id: string
  name: string
  scopes: Scope[]
  secret_hash: Buffer
  created_at: SetOnce
  revoked_at: Instant | null
}

/** What must be refused although its signature is good: one token, or all tokens of a client up to a moment. */
export interface RevocationTable {
  id: Generated<number>
  tenant_id: string
  kind: 'token' | 'client'
  ref: string
  revoked_at: Generated<Date>
  expires_at: Instant
}

export interface AgentTable {
  id: string
  tenant_id: string
  name: string
  version: string
  description: string | null
  skills: JSONColumnType<Skill[]>
  skill_ids: string[]
  labels: JSONColumnType<Labels>
  row_version: Generated<number>
  created_at: SetOnce
  updated_at: Generated<Instant>
  deleted_at: Instant | null
}

export interface AgentInstanceTable {
  id: string
  tenant_id: string
  agent_id: string
  subject: string
  version: string
  skills: string[]
  slots: number
  lifecycle: Lifecycle
  health: Health
  incarnation: number
  heartbeat_seq: Generated<number>
  registered_at: Instant
  last_heartbeat_at: Instant | null
  lease_expires_at: Instant | null
  /** How long the main thread had been blocked at the last beat. */
  loop_lag_ms: Generated<number>
}

export interface AgentEventTable {
  tenant_id: string
  seq: number
  type: string
  agent_id: string | null
  instance_id: string | null
  /** What the event is about when it is no agent: its path below /v1. */
  ref: string | null
  body: JSONColumnType<Record<string, unknown>>
  at: Generated<Date>
}

/** Hands out the dense sequence of a tenant's agent events under its row lock. */
export interface AgentEventHeadTable {
  tenant_id: string
  seq: number
}

export interface CrewTable {
  id: string
  tenant_id: string
  name: string
  version: number
  hash: string
  manifest: Jsonb
  created_by: string
  created_at: SetOnce
}

export interface MissionTable {
  id: string
  tenant_id: string
  crew: string
  crew_version: number | null
  manifest: Jsonb | null
  input: Jsonb | null
  output: Jsonb | null
  error: JSONColumnType<TaskError> | null
  state: MissionState
  priority: number
  labels: JSONColumnType<Labels>
  idempotency_key: string | null
  request_hash: Buffer | null
  total_tasks: number
  open_tasks: number
  /** Characters of the outputs of its tasks, those of forEach tasks not counted again. */
  output_chars: Generated<number>
  on_task_failure: 'fail' | 'continue' | 'pause'
  /** The mission that this one does again. */
  parent_mission_id: string | null
  /** The task of another mission that began it, the outermost mission, and how many stand around this one. */
  parent_task_id: string | null
  root_id: string | null
  depth: Generated<number>
  /** When that task was told of the end. */
  parent_told_at: Instant | null
  cancel_requested_at: Instant | null
  /** Since when it undoes what its tasks have done, because it did not succeed. */
  compensating_at: Instant | null
  deadline_at: Instant | null
  correlation_id: string
  traceparent: string | null
  created_by: string
  event_seq: number
  version: Generated<number>
  created_at: SetOnce
  started_at: Instant | null
  ended_at: Instant | null
}

export interface TaskTable {
  id: string
  tenant_id: string
  mission_id: string
  key: string
  /** Nothing depends on it, so its output is part of the mission's. */
  leaf: boolean
  /** The skill that the task needs; agents claim by it. */
  queue: string
  requires: string[]
  priority: number
  state: TaskState
  reason: string | null
  blocked_by: number
  /** What is filled in when the dependencies are done; null when the input was known at submit. */
  template: Jsonb | null
  /** What it is held to beside retries and time-outs; null for most. */
  policy: Jsonb | null
  /** At most so many tasks of the tenant with the same key execute at once. */
  concurrency_key: Generated<string | null>
  concurrency_limit: Generated<number | null>
  /** How many tasks its mission had queued before it in the same transaction. */
  turn: Generated<number>
  /** Queued in a mission that is paused: no claim sees it. */
  held: Generated<boolean>
  parent_id: string | null
  /** The task of another mission whose output it keeps. */
  kept_from: string | null
  attempt: number
  max_attempts: number
  retry: Jsonb
  queue_timeout_ms: number | null
  attempt_timeout_ms: number | null
  heartbeat_timeout_ms: number | null
  total_timeout_ms: number | null
  lease_owner: string | null
  lease_incarnation: number | null
  claim_id: string | null
  lease_expires_at: Instant | null
  attempt_deadline_at: Instant | null
  progress_deadline_at: Instant | null
  queue_deadline_at: Instant | null
  total_deadline_at: Instant | null
  available_at: Instant | null
  /** When a sweep must look at the row; the database computes it from the state and the deadlines above. */
  due_at: ColumnType<Date | null, never, never>
  input: Jsonb | null
  output: Jsonb | null
  error: JSONColumnType<TaskError> | null
  progress: Jsonb | null
  /** Characters that its attempts have brought out as events. */
  said_chars: Generated<number>
  version: Generated<number>
  created_at: SetOnce
  started_at: Instant | null
  ended_at: Instant | null
}

export interface TaskDependencyTable {
  tenant_id: string
  task_id: string
  depends_on: string
}

export interface AttemptTable {
  task_id: string
  attempt: number
  tenant_id: string
  agent_instance_id: string
  incarnation: number
  claim_id: string
  started_at: Generated<Instant>
  ended_at: Instant | null
  outcome: string | null
  output_hash: Buffer | null
  error: JSONColumnType<TaskError> | null
}

export interface StepTable {
  task_id: string
  name: string
  tenant_id: string
  attempt: number
  request_hash: string | null
  response: Jsonb
  created_at: SetOnce
}

export interface ArtifactTable {
  id: string
  tenant_id: string
  mission_id: string
  task_id: string
  task_key: string
  name: string
  media_type: string
  size_bytes: number
  sha256: string
  content: Buffer
  attempt: number
  created_at: Generated<Instant>
}

export interface MissionEventTable {
  mission_id: string
  seq: number
  tenant_id: string
  type: string
  task_id: string | null
  body: JSONColumnType<Record<string, unknown>>
  at: Generated<Date>
}

export interface OutboxTable {
  id: Generated<number>
  payload: Jsonb
  next_try_at: Generated<Instant>
  tries: Generated<number>
}

export interface DeadLetterTable {
  id: string
  tenant_id: string
  mission_id: string
  task_id: string
  key: string
  error: JSONColumnType<TaskError>
  created_at: SetOnce
  resolution: 'replayed' | 'discarded' | null
  resolved_at: Instant | null
  resolved_by: string | null
}

export interface AuditTable {
  id: Generated<number>
  tenant_id: string
  at: Generated<Date>
  actor: string
  action: string
  ref: string | null
  detail: JSONColumnType<Record<string, unknown>>
}

export interface UsageTable {
  task_id: string
  key: string
  tenant_id: string
  mission_id: string
  attempt: number
  model: string
  input_tokens: number
  output_tokens: number
  usd: number
  at: Generated<Date>
}

export interface Database {
  tenants: TenantTable
  clients: ClientTable
  revocations: RevocationTable
  agents: AgentTable
  agent_instances: AgentInstanceTable
  agent_events: AgentEventTable
  agent_event_heads: AgentEventHeadTable
  crews: CrewTable
  missions: MissionTable
  tasks: TaskTable
  task_dependencies: TaskDependencyTable
  attempts: AttemptTable
  steps: StepTable
  artifacts: ArtifactTable
  mission_events: MissionEventTable
  outbox: OutboxTable
  dead_letters: DeadLetterTable
  audit: AuditTable
  blueprints: BlueprintTable
  blueprint_aliases: BlueprintAliasTable
  promotions: PromotionTable
  factory_instances: FactoryInstanceTable
  instance_logs: InstanceLogTable
  spawns: SpawnTable
  gym_suites: GymSuiteTable
  gym_runs: GymRunTable
  gym_samples: GymSampleTable
  gym_live_watches: GymLiveWatchTable
  gym_live_scores: GymLiveScoreTable
  usage: UsageTable
  mission_budgets: MissionBudgetTable
  mission_context: MissionContextTable
  queue_controls: QueueControlTable
  schedules: ScheduleTable
  operations: OperationTable
  waits: WaitTable
  signals: SignalTable
  approvals: ApprovalTable
  approval_decisions: ApprovalDecisionTable
  verifications: VerificationTable
  effects: EffectTable
}

/** A transaction is also a Db, so a function that takes Db works inside and outside of one. */
export type Db = Kysely<Database>
/** A function that is only correct inside a transaction takes Trx, and the compiler holds its caller to it. */
export type Trx = Transaction<Database>

export type MissionRow = Selectable<MissionTable>
export type TaskRow = Selectable<TaskTable>
export type AgentRow = Selectable<AgentTable>
export type AgentInstanceRow = Selectable<AgentInstanceTable>
