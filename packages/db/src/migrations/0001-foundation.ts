import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * The foundation. No foreign keys from the hot tables (tasks, attempts, steps, mission_events) to missions: each check would lock
 * the mission row for key share on every insert, which is the row that all tasks of a mission already meet on.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql.raw(`drop table ${TABLES.join(', ')} cascade`).execute(db)
}

const TABLES = [
  'tenants',
  'clients',
  'revocations',
  'agents',
  'agent_instances',
  'agent_events',
  'agent_event_heads',
  'crews',
  'missions',
  'tasks',
  'task_dependencies',
  'attempts',
  'steps',
  'artifacts',
  'mission_events',
  'outbox',
  'dead_letters',
  'audit',
]

const IDENTITY = [
  `create table tenants (id uuid primary key, name text not null unique, created_at timestamptz not null default now())`,
  `create table clients (
    id uuid primary key, tenant_id uuid not null references tenants, name text not null, scopes text[] not null,
    secret_hash bytea not null, created_at timestamptz not null default now(), revoked_at timestamptz,
    unique (tenant_id, name))`,
  `create table revocations (
    id bigint generated always as identity primary key, tenant_id uuid not null, kind text not null check (kind in ('token', 'client')),
    ref uuid not null, revoked_at timestamptz not null default now(), expires_at timestamptz not null)`,
  `create index revocations_by_expiry on revocations (expires_at)`,
]

const AGENTS = [
  `create table agents (
    id uuid primary key, tenant_id uuid not null references tenants, name text not null, version text not null, description text,
    skills jsonb not null, skill_ids text[] not null, labels jsonb not null default '{}', row_version bigint not null default 1,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now(), deleted_at timestamptz)`,
  `create unique index agents_by_name on agents (tenant_id, name) where deleted_at is null`,
  `create index agents_by_skill on agents using gin (skill_ids) where deleted_at is null`,
  `create index agents_by_label on agents using gin (labels jsonb_path_ops) where deleted_at is null`,
  // Room for the many in-place updates of a beat: with half a page free they stay HOT.
  `create table agent_instances (
    id uuid primary key, tenant_id uuid not null references tenants, agent_id uuid not null references agents, subject text not null,
    version text not null, skills text[] not null, slots int not null check (slots > 0),
    lifecycle text not null, health text not null check (health in ('unknown', 'passing', 'warning', 'critical')),
    incarnation bigint not null check (incarnation > 0), heartbeat_seq bigint not null default 0,
    registered_at timestamptz not null, last_heartbeat_at timestamptz, lease_expires_at timestamptz,
    unique (tenant_id, subject)) with (fillfactor = 50)`,
  `create index agent_instances_by_agent on agent_instances (agent_id)`,
  `create table agent_events (
    tenant_id uuid not null, seq bigint not null, type text not null, agent_id uuid not null, instance_id uuid, body jsonb not null,
    at timestamptz not null default now(), primary key (tenant_id, seq))`,
  `create table agent_event_heads (tenant_id uuid primary key references tenants, seq bigint not null)`,
]

const MISSIONS = [
  `create table crews (
    id uuid primary key, tenant_id uuid not null references tenants, name text not null, version int not null, hash text not null,
    manifest jsonb not null, created_by text not null, created_at timestamptz not null default now(),
    unique (tenant_id, name, version))`,
  `create table missions (
    id uuid primary key, tenant_id uuid not null, crew text not null, crew_version int, manifest jsonb,
    input jsonb, output jsonb, error jsonb,
    state text not null check (state in ('submitted', 'running', 'paused', 'completed', 'failed', 'canceled')),
    priority smallint not null default 0, labels jsonb not null default '{}', idempotency_key text, request_hash bytea,
    total_tasks int not null, open_tasks int not null check (open_tasks >= 0),
    on_task_failure text not null check (on_task_failure in ('fail', 'continue')),
    cancel_requested_at timestamptz, deadline_at timestamptz, correlation_id text not null, traceparent text, created_by text not null,
    event_seq int not null, version bigint not null default 1,
    created_at timestamptz not null default now(), started_at timestamptz, ended_at timestamptz,
    unique (tenant_id, idempotency_key),
    check ((ended_at is not null) = (state in ('completed', 'failed', 'canceled'))),
    check ((open_tasks = 0) = (ended_at is not null))) with (fillfactor = 80)`,
  `create index missions_newest on missions (tenant_id, id)`,
  `create index missions_open on missions (tenant_id) where ended_at is null`,
  `create index missions_by_deadline on missions (deadline_at) where ended_at is null and deadline_at is not null`,
  `create index missions_canceling on missions (cancel_requested_at) where ended_at is null and cancel_requested_at is not null`,
  `create index missions_by_correlation on missions (tenant_id, correlation_id)`,
  `create table tasks (
    id uuid primary key, tenant_id uuid not null, mission_id uuid not null, key text not null, leaf boolean not null,
    queue text not null, requires text[] not null default '{}', priority smallint not null default 0,
    state text not null check (state in ('blocked', 'scheduled', 'queued', 'executing', 'waiting', 'input_required', 'verifying',
      'paused', 'completed', 'failed', 'canceled', 'rejected', 'skipped')),
    reason text, blocked_by int not null default 0 check (blocked_by >= 0), template jsonb, parent_id uuid,
    attempt int not null default 0, max_attempts int not null, retry jsonb not null,
    queue_timeout_ms bigint, attempt_timeout_ms bigint, heartbeat_timeout_ms bigint, total_timeout_ms bigint,
    lease_owner uuid, lease_incarnation bigint, claim_id uuid, lease_expires_at timestamptz,
    attempt_deadline_at timestamptz, progress_deadline_at timestamptz, queue_deadline_at timestamptz, total_deadline_at timestamptz,
    available_at timestamptz,
    due_at timestamptz generated always as (case state
      when 'executing' then least(lease_expires_at, attempt_deadline_at, progress_deadline_at, total_deadline_at)
      when 'scheduled' then least(available_at, total_deadline_at)
      when 'queued' then least(queue_deadline_at, total_deadline_at)
      when 'waiting' then total_deadline_at
      when 'paused' then total_deadline_at end) stored,
    input jsonb, output jsonb, error jsonb, progress jsonb, version bigint not null default 1,
    created_at timestamptz not null default now(), started_at timestamptz, ended_at timestamptz,
    unique (mission_id, key),
    check ((state = 'executing') = (lease_owner is not null)),
    check ((lease_owner is null) = (lease_expires_at is null)),
    check ((ended_at is not null) = (state in ('completed', 'failed', 'canceled', 'rejected', 'skipped'))),
    check (state <> 'blocked' or blocked_by > 0), check (state not in ('queued', 'scheduled', 'executing') or blocked_by = 0),
    check (attempt <= max_attempts)) with (fillfactor = 80)`,
  `create index tasks_claimable on tasks (tenant_id, queue, priority desc, available_at, id) where state = 'queued'`,
  `create index tasks_due on tasks (due_at) where due_at is not null`,
  `create index tasks_leased on tasks (lease_owner) where lease_owner is not null`,
  `create table task_dependencies (
    tenant_id uuid not null, task_id uuid not null, depends_on uuid not null, primary key (depends_on, task_id))`,
  `create index task_dependencies_of on task_dependencies (task_id)`,
  `create table attempts (
    task_id uuid not null, attempt int not null check (attempt > 0), tenant_id uuid not null, agent_instance_id uuid not null,
    incarnation bigint not null, claim_id uuid not null, started_at timestamptz not null default now(), ended_at timestamptz,
    outcome text, output_hash bytea, error jsonb, primary key (task_id, attempt),
    check ((ended_at is null) = (outcome is null))) with (fillfactor = 80)`,
  `create table steps (
    task_id uuid not null, name text not null, tenant_id uuid not null, attempt int not null, request_hash text, response jsonb not null,
    created_at timestamptz not null default now(), primary key (task_id, name))`,
  `create table artifacts (
    id uuid primary key, tenant_id uuid not null, mission_id uuid not null, task_id uuid not null, task_key text not null, name text not null,
    media_type text not null, size_bytes int not null, sha256 text not null, content bytea not null, attempt int not null,
    created_at timestamptz not null default now(), unique (task_id, name))`,
  `create index artifacts_of_mission on artifacts (mission_id, id)`,
  `create table mission_events (
    mission_id uuid not null, seq int not null check (seq > 0), tenant_id uuid not null, type text not null, task_id uuid,
    body jsonb not null default '{}', at timestamptz not null default now(), primary key (mission_id, seq))`,
]

const CARRIERS = [
  `create table outbox (
    id bigint generated always as identity primary key, payload jsonb not null,
    next_try_at timestamptz not null default now() + interval '2 seconds', tries int not null default 0)`,
  `create index outbox_due on outbox (next_try_at, id)`,
  `create table dead_letters (
    id uuid primary key, tenant_id uuid not null, mission_id uuid not null, task_id uuid not null, key text not null,
    error jsonb not null, created_at timestamptz not null default now(),
    resolution text check (resolution in ('replayed', 'discarded')), resolved_at timestamptz, resolved_by text,
    check ((resolution is null) = (resolved_at is null)))`,
  `create index dead_letters_newest on dead_letters (tenant_id, id)`,
  `create index dead_letters_of_task on dead_letters (task_id)`,
  `create table audit (
    id bigint generated always as identity primary key, tenant_id uuid not null, at timestamptz not null default now(),
    actor text not null, action text not null, ref text, detail jsonb not null default '{}')`,
  `create index audit_by_tenant on audit (tenant_id, id)`,
]

const STATEMENTS = [...IDENTITY, ...AGENTS, ...MISSIONS, ...CARRIERS]
