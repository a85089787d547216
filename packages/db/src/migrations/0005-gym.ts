import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** What the gym holds: suites, runs with their samples, and scores of production tasks. Expected answers live here and nowhere an agent reads. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql.raw(`drop table ${TABLES.join(', ')}`).execute(db)
}

const TABLES = ['gym_suites', 'gym_runs', 'gym_samples', 'gym_live_scores']

const STATEMENTS = [
  `create table gym_suites (
    id uuid primary key, tenant_id uuid not null references tenants, name text not null, version int not null, hash text not null,
    manifest jsonb not null, created_by text not null, created_at timestamptz not null default now(),
    unique (tenant_id, name, version), unique (tenant_id, name, hash))`,
  `create table gym_runs (
    id uuid primary key, tenant_id uuid not null references tenants, suite text not null, suite_version int not null,
    blueprint text not null, blueprint_version int not null, blueprint_hash text not null, rule jsonb not null, parallel int not null,
    state text not null check (state in ('queued', 'running', 'completed', 'failed', 'canceled')),
    verdict text check (verdict in ('passed', 'failed', 'inconclusive')), reasons jsonb not null default '[]', error text,
    idempotency_key text, request_hash bytea, owner uuid, owner_until timestamptz,
    created_by text not null, created_at timestamptz not null default now(), started_at timestamptz, ended_at timestamptz,
    check ((verdict is not null) = (state = 'completed')), unique (tenant_id, idempotency_key))`,
  `create index gym_runs_newest on gym_runs (tenant_id, id)`,
  `create index gym_runs_open on gym_runs (id) where state in ('queued', 'running')`,
  `create index gym_runs_of_content on gym_runs (tenant_id, blueprint, blueprint_hash, suite, id) where state = 'completed'`,
  `create table gym_samples (
    id uuid primary key, run_id uuid not null references gym_runs on delete cascade, tenant_id uuid not null, scenario text not null,
    repetition int not null, state text not null check (state in ('planned', 'running', 'passed', 'failed', 'errored', 'skipped')),
    mission_id uuid, task_id uuid, outcome text, output jsonb, scores jsonb not null default '[]', score double precision,
    latency_ms double precision, tokens bigint, usd double precision, faults jsonb, error text, tries int not null default 0,
    started_at timestamptz, ended_at timestamptz, unique (run_id, scenario, repetition))`,
  `create table gym_live_scores (
    tenant_id uuid not null, task_id uuid not null, suite text not null, suite_version int not null, blueprint text not null,
    blueprint_version int not null, blueprint_hash text not null, passed boolean not null, score double precision not null,
    scores jsonb not null, at timestamptz not null default now(), primary key (tenant_id, task_id, suite))`,
  `create index gym_live_scores_of_content on gym_live_scores (tenant_id, blueprint, blueprint_hash, at)`,
]
