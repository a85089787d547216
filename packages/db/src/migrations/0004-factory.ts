import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** What the factory holds: blueprints, where their aliases point and why, the instances that it runs, and their last output. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql.raw(`drop table ${TABLES.join(', ')}`).execute(db)
  await sql.raw(`alter table agent_instances drop column loop_lag_ms`).execute(db)
  await sql.raw(`delete from agent_events where agent_id is null`).execute(db)
  await sql.raw(`alter table agent_events drop column ref, alter column agent_id set not null`).execute(db)
}

const TABLES = ['blueprints', 'blueprint_aliases', 'promotions', 'factory_instances', 'instance_logs']

const STATEMENTS = [
  // The stream of a tenant's agents tells of their processes, blueprints and verdicts too.
  `alter table agent_events alter column agent_id drop not null, add column ref text`,
  // How long the main thread of the agent had been blocked at its last beat.
  `alter table agent_instances add column loop_lag_ms int not null default 0`,
  `create table blueprints (
    id uuid primary key, tenant_id uuid not null references tenants, name text not null, version int not null, hash text not null,
    manifest jsonb not null, created_by text not null, created_at timestamptz not null default now(),
    unique (tenant_id, name, version), unique (tenant_id, name, hash))`,
  `create table blueprint_aliases (
    tenant_id uuid not null, name text not null, alias text not null check (alias in ('stable', 'candidate')), version int not null,
    updated_at timestamptz not null default now(), primary key (tenant_id, name, alias))`,
  `create table promotions (
    id uuid primary key, tenant_id uuid not null, blueprint text not null, kind text not null check (kind in ('promoted', 'demoted', 'refused')),
    version int not null, stable_version int, hash text not null, run_ids uuid[] not null default '{}', reason text not null,
    actor text not null, at timestamptz not null default now())`,
  `create index promotions_of_blueprint on promotions (tenant_id, blueprint, id)`,
  // One row is one thing that runs or shall run. Who holds its lease may act on it; the launch id names one start of it for the driver.
  `create table factory_instances (
    id uuid primary key, tenant_id uuid not null references tenants, blueprint text not null, version int not null, hash text not null,
    driver text not null, role text not null check (role in ('member', 'spare')), pool text, labels jsonb not null default '{}',
    origin text not null check (origin in ('spawned', 'population', 'warm', 'assembly')), env jsonb not null default '{}',
    client_id uuid not null, lifecycle text not null, desired text not null check (desired in ('running', 'hibernating', 'stopped')), reason text,
    host text, launch_id uuid, handle jsonb, owner uuid, owner_until timestamptz, next_action_at timestamptz not null default now(),
    starts int not null default 0, crashes jsonb not null default '[]', last_lines jsonb, log_cursor bigint not null default 0, log_seq bigint not null default 0,
    created_at timestamptz not null default now(), started_at timestamptz, ready_at timestamptz, idle_since timestamptz, ended_at timestamptz,
    version_no bigint not null default 1)`,
  `create unique index factory_instances_by_client on factory_instances (tenant_id, client_id)`,
  `create index factory_instances_live on factory_instances (tenant_id, blueprint, version) where ended_at is null`,
  `create index factory_instances_due on factory_instances (next_action_at) where ended_at is null`,
  `create index factory_instances_newest on factory_instances (tenant_id, id)`,
  `create table instance_logs (
    instance_id uuid not null, seq bigint not null, tenant_id uuid not null, at timestamptz not null default now(), line text not null,
    primary key (instance_id, seq))`,
]
