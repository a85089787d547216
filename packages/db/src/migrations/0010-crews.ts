import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * What the tasks of a mission share, each key with the number of times that it was written; and missions that a task of another mission
 * has begun: one for each such task, whatever happens.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop index tasks_of_crews`.execute(db)
  await sql.raw(waitKinds(`'timer', 'signal', 'approval'`)).execute(db)
  await sql`alter table missions drop column parent_task_id, drop column root_id, drop column depth`.execute(db)
  await sql`drop table mission_context`.execute(db)
}

const waitKinds = (kinds: string): string =>
  `alter table waits drop constraint waits_kind_check, add constraint waits_kind_check check (kind in (${kinds}))`

const STATEMENTS = [
  `create table mission_context (
    mission_id uuid not null, key text not null, tenant_id uuid not null, value jsonb not null, version int not null check (version >= 1),
    task_id uuid, attempt int, updated_by text not null, updated_at timestamptz not null default now(), primary key (mission_id, key),
    check ((task_id is null) = (attempt is null)))`,
  `alter table missions add column parent_task_id uuid, add column root_id uuid, add column depth smallint not null default 0,
    add check ((parent_task_id is null) = (root_id is null) and (parent_task_id is null) = (depth = 0))`,
  `create unique index missions_of_task on missions (parent_task_id) where parent_task_id is not null`,
  `create index missions_of_root on missions (root_id) where root_id is not null`,
  `create index missions_within_open on missions (parent_task_id) where parent_task_id is not null and ended_at is null`,
  // A manager waits for the tasks that it has planned.
  waitKinds(`'timer', 'signal', 'approval', 'tasks'`),
  `create index tasks_of_crews on tasks (id) where state = 'waiting' and policy ? 'crew'`,
]
