import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * Less to write for each mission: index entries that nobody looks up, and room for changes in place.
 *
 * - Most missions have no idempotency key, and an entry of none says nothing.
 * - The numbers of the audit are asked for within a tenant alone, so its primary key is the index by tenant.
 * - Missions start, and attempts end, without a change to an indexed column. That costs no index entry when the page has room, and a page
 *   that one bulk submit has filled needs room for all of its rows at once.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of UP) await sql.raw(statement).execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const statement of DOWN) await sql.raw(statement).execute(db)
}

const UP = [
  `create unique index missions_by_idempotency_key on missions (tenant_id, idempotency_key) where idempotency_key is not null`,
  `alter table missions drop constraint missions_tenant_id_idempotency_key_key`,
  `alter table audit drop constraint audit_pkey, add primary key (tenant_id, id)`,
  `drop index audit_by_tenant`,
  `alter table missions set (fillfactor = 50)`,
  `alter table attempts set (fillfactor = 40)`,
]

const DOWN = [
  `alter table attempts set (fillfactor = 80)`,
  `alter table missions set (fillfactor = 80)`,
  `create index audit_by_tenant on audit (tenant_id, id)`,
  `alter table audit drop constraint audit_pkey, add primary key (id)`,
  `alter table missions add unique (tenant_id, idempotency_key)`,
  `drop index missions_by_idempotency_key`,
]
