import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** What the tasks of a mission share, each key with the number of times that it was written. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create table mission_context (
    mission_id uuid not null, key text not null, tenant_id uuid not null, value jsonb not null, version int not null check (version >= 1),
    task_id uuid, attempt int, updated_by text not null, updated_at timestamptz not null default now(), primary key (mission_id, key),
    check ((task_id is null) = (attempt is null)))`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table mission_context`.execute(db)
}
