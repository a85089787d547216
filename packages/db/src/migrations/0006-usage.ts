import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** What model calls took, one row per call that a task names; and how much a task has said, which is bounded. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create table usage (
    task_id uuid not null, key text not null, tenant_id uuid not null, mission_id uuid not null, attempt int not null, model text not null,
    input_tokens bigint not null, output_tokens bigint not null, usd numeric(18, 9) not null, at timestamptz not null default now(),
    primary key (task_id, key))`.execute(db)
  await sql`create index usage_of_mission on usage (mission_id)`.execute(db)
  await sql`alter table tasks add column said_chars int not null default 0`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table tasks drop column said_chars`.execute(db)
  await sql`drop table usage`.execute(db)
}
