import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * Schedules. `next_at` is the instant that comes next and is what a fire compares and sets; `fire_at` is when it is due, jitter included;
 * `claimed_until` keeps other replicas from the same work for a moment, and nothing but work would be lost without it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql
    .raw(
      `create table schedules (
        id uuid primary key, tenant_id uuid not null references tenants, name text not null, spec jsonb not null,
        paused_by text, next_at timestamptz not null, fire_at timestamptz not null check (fire_at >= next_at), buffered_at timestamptz,
        claimed_until timestamptz, last_at timestamptz, last_mission_id uuid, last_error jsonb, started int not null default 0,
        skipped int not null default 0, created_by text not null, created_at timestamptz not null default now(), unique (tenant_id, name))`,
    )
    .execute(db)
  await sql.raw(`create index schedules_due on schedules (fire_at) where paused_by is null`).execute(db)
  await sql
    .raw(`create index schedules_buffered on schedules (id) where paused_by is null and buffered_at is not null`)
    .execute(db)
  await sql.raw(`create index schedules_newest on schedules (tenant_id, id)`).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql.raw(`drop table schedules`).execute(db)
}
