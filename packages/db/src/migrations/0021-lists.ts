import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * Lists of missions by state, newest first, find their page without reading what went well: what is open, and what failed or was canceled, stand in
 * indexes of their own in the order of ids. `state` stands in none of them, as in 0020.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of UP) await sql.raw(statement).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const statement of DOWN) await sql.raw(statement).execute(db)
}

const UP = [
  `drop index missions_open`,
  `create index missions_open on missions (tenant_id, id) where ended_at is null`,
  `drop index missions_to_retry`,
  `create index missions_gone_wrong on missions (tenant_id, id)
    where ended_at is not null and (error is not null or cancel_requested_at is not null)`,
]

const DOWN = [
  `drop index missions_gone_wrong`,
  `create index missions_to_retry on missions (tenant_id, id)
    where ended_at is not null and (error is not null or cancel_requested_at is not null) and parent_task_id is null`,
  `drop index missions_open`,
  `create index missions_open on missions (tenant_id) where ended_at is null`,
]
