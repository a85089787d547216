import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * A task whose crew did not succeed can be tried again: it has one mission at a time that it has not heard the end of, and any number
 * that it has. And what many can be retried by one order is found without reading what went well, or was resolved; `state` stands in no
 * condition, since a mission that starts would then have to be entered into every index anew.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of UP) await sql.raw(statement).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const statement of DOWN) await sql.raw(statement).execute(db)
}

const UP = [
  `alter table missions add column parent_told_at timestamptz,
    add constraint missions_parent_told check (parent_told_at is null or (parent_task_id is not null and ended_at is not null))`,
  `drop index missions_of_task`,
  `create unique index missions_of_task on missions (parent_task_id) where parent_task_id is not null and parent_told_at is null`,
  `create index missions_told_of on missions (parent_task_id) where parent_told_at is not null`,
  `create index missions_to_retry on missions (tenant_id, id)
    where ended_at is not null and (error is not null or cancel_requested_at is not null) and parent_task_id is null`,
  `create index dead_letters_open on dead_letters (tenant_id, id) where resolution is null`,
]

const DOWN = [
  `drop index dead_letters_open`,
  `drop index missions_to_retry`,
  `drop index missions_told_of`,
  `drop index missions_of_task`,
  // Of several missions of a task the latest stays its own.
  `update missions m set parent_task_id = null, root_id = null, depth = 0, parent_told_at = null
    where exists (select from missions l where l.parent_task_id = m.parent_task_id and l.id > m.id)`,
  `create unique index missions_of_task on missions (parent_task_id) where parent_task_id is not null`,
  `alter table missions drop constraint missions_parent_told, drop column parent_told_at`,
]
