import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** What the gym holds: suites, runs with their samples, and scores of production tasks. Expected answers live here and nowhere an agent reads. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql.raw(`drop index tasks_ended`).execute(db)
  await sql.raw(`drop table ${TABLES.join(', ')}`).execute(db)
}

const TABLES = ['gym_suites', 'gym_runs', 'gym_samples', 'gym_live_watches', 'gym_live_scores']

const STATEMENTS = [
  `create table gym_suites (
    id uuid primary key, tenant_id uuid not null references tenants, name text not null, version int not null, hash text not null,
    manifest jsonb not null, created_by text not null, created_at timestamptz not null default now(),
    unique (tenant_id, name, version))`,
  // Who holds the lease carries the run out. A run that has ended is work until what it started is gone: cleaned_at.
  // Strikes count how often it was taken over without a sample being finished in between.
  `create table gym_runs (
    id uuid primary key, tenant_id uuid not null references tenants, suite text not null, suite_version int not null,
    blueprint text not null, blueprint_version int not null, blueprint_hash text not null, rule jsonb not null, parallel int not null,
    planned int not null, passed int not null default 0, failed int not null default 0, errored int not null default 0,
    state text not null check (state in ('queued', 'running', 'completed', 'failed', 'canceled')),
    verdict text check (verdict in ('passed', 'failed', 'inconclusive')), reasons jsonb not null default '[]', error text,
    idempotency_key text, request_hash text, owner uuid, owner_until timestamptz, strikes int not null default 0,
    cleaned_at timestamptz, created_by text not null, created_at timestamptz not null default now(), started_at timestamptz, ended_at timestamptz,
    check ((verdict is not null) = (state = 'completed')), check ((ended_at is not null) = (state not in ('queued', 'running'))),
    check (cleaned_at is null or ended_at is not null), unique (tenant_id, idempotency_key))`,
  `create index gym_runs_newest on gym_runs (tenant_id, id)`,
  `create index gym_runs_open on gym_runs (id) where cleaned_at is null`,
  `create index gym_runs_of_content on gym_runs (tenant_id, blueprint, blueprint_hash, suite, id) where state = 'completed'`,
  // tries names the missions of a sample, and only grows; faults_seen counts those of the platform since the run began or was resumed.
  `create table gym_samples (
    id uuid primary key, run_id uuid not null references gym_runs on delete cascade, tenant_id uuid not null, ord int not null, scenario text not null,
    repetition int not null, state text not null check (state in ('planned', 'running', 'passed', 'failed', 'errored', 'skipped')),
    mission_id uuid, task_id uuid, outcome text, output jsonb, scores jsonb not null default '[]', score double precision,
    latency_ms double precision, tokens bigint, usd double precision, faults jsonb, error text,
    tries int not null default 0, faults_seen int not null default 0,
    started_at timestamptz, ended_at timestamptz, unique (run_id, scenario, repetition), unique (run_id, ord))`,
  // How far the production tasks of a stable version have been looked through for a suite with live scoring.
  `create table gym_live_watches (
    tenant_id uuid not null, suite text not null, blueprint text not null, owner uuid, owner_until timestamptz,
    seen_until timestamptz not null, seen_task uuid not null, primary key (tenant_id, suite, blueprint))`,
  `create table gym_live_scores (
    tenant_id uuid not null, task_id uuid not null, suite text not null, suite_version int not null, blueprint text not null,
    blueprint_version int not null, blueprint_hash text not null, passed boolean not null, score double precision not null,
    scores jsonb not null, latency_ms double precision, usd double precision not null default 0,
    at timestamptz not null default now(), primary key (tenant_id, task_id, suite))`,
  `create index gym_live_scores_of_content on gym_live_scores (tenant_id, blueprint, blueprint_hash, at)`,
  `create index tasks_ended on tasks (tenant_id, queue, ended_at, id) where ended_at is not null`,
]
