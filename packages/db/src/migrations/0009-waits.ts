import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * Tasks that wait without a slot: for a time, for a signal, for people; and what tasks do to the world outside. `due_at` is made anew, since an expression cannot be changed: what waits is
 * due at `available_at`, when it has such an instant, and at its total deadline. A timer that fires early is refused by its table.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [...dueAt(NOW), ...WAITS, ...APPROVALS, EFFECTS]) await sql.raw(statement).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const table of ['effects', 'approval_decisions', 'approvals', 'signals', 'waits'])
    await sql.raw(`drop table ${table}`).execute(db)
  for (const statement of dueAt(BEFORE)) await sql.raw(statement).execute(db)
}

const RUNNING = `when 'executing' then least(lease_expires_at, attempt_deadline_at, progress_deadline_at, total_deadline_at)
  when 'scheduled' then least(available_at, total_deadline_at) when 'queued' then least(queue_deadline_at, total_deadline_at)`
const BEFORE = `${RUNNING} when 'waiting' then total_deadline_at when 'paused' then total_deadline_at`
const NOW = `${RUNNING} when 'waiting' then least(available_at, total_deadline_at)
  when 'input_required' then least(available_at, total_deadline_at) when 'verifying' then total_deadline_at when 'paused' then total_deadline_at`

const dueAt = (cases: string): string[] => [
  `alter table tasks drop column due_at`,
  `alter table tasks add column due_at timestamptz generated always as (case state ${cases} end) stored`,
  `create index tasks_due on tasks (due_at) where due_at is not null`,
]

const WAITS = [
  `create table waits (
    task_id uuid not null, name text not null, tenant_id uuid not null, mission_id uuid not null,
    kind text not null check (kind in ('timer', 'signal', 'approval')), signal text check ((kind = 'signal') = (signal is not null)),
    fire_at timestamptz, created_at timestamptz not null default clock_timestamp(), fired_at timestamptz, primary key (task_id, name),
    check (kind <> 'timer' or fired_at is null or fired_at >= fire_at))`,
  `create unique index waits_open on waits (task_id) where fired_at is null`,
  `create index waits_for_signal on waits (mission_id, signal) where fired_at is null and signal is not null`,
  `create table signals (
    id uuid primary key, tenant_id uuid not null, mission_id uuid not null, name text not null, task_key text, payload jsonb not null,
    idempotency_key text, request_hash text not null, sent_by text not null, created_at timestamptz not null default now(), taken_by uuid,
    taken_at timestamptz, unique (mission_id, idempotency_key), check ((taken_by is null) = (taken_at is null)))`,
  `create index signals_kept on signals (mission_id, name, id) where taken_at is null`,
]

const APPROVALS = [
  `create table approvals (
    id uuid primary key, tenant_id uuid not null, mission_id uuid not null, task_id uuid not null, task_key text not null, wait text,
    title text not null, data jsonb not null, hash text not null, approvers text[] not null, quorum int not null check (quorum > 0),
    round int not null default 1, state text not null check (state in ('open', 'approved', 'rejected', 'expired', 'withdrawn')),
    on_timeout text not null check (on_timeout in ('reject', 'approve')), deadline_at timestamptz, escalate_at timestamptz, escalate_to text[] not null,
    escalated_at timestamptz, created_at timestamptz not null default now(), decided_at timestamptz, check ((state = 'open') = (decided_at is null)))`,
  `create unique index approvals_open on approvals (task_id) where state = 'open'`,
  `create index approvals_inbox on approvals (tenant_id, (state <> 'open'), id desc)`,
  `create index approvals_of_mission on approvals (mission_id, id)`,
  `create table approval_decisions (
    approval_id uuid not null references approvals, round int not null, client text not null, tenant_id uuid not null, subject text not null,
    verdict text not null check (verdict in ('approve', 'reject', 'edit')), comment text, hash text not null,
    at timestamptz not null default now(), primary key (approval_id, round, client))`,
]

const EFFECTS = `create table effects (
  task_id uuid not null, name text not null, tenant_id uuid not null, attempt int not null check (attempt > 0),
  state text not null check (state in ('intent', 'done', 'unknown')), idempotent boolean not null, request_hash text, response jsonb,
  created_at timestamptz not null default now(), done_at timestamptz, resolved_by text, primary key (task_id, name),
  check ((state = 'done') = (done_at is not null)))`
