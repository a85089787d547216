import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** What bounds need: how much the tasks of a mission have brought out, and a way to the audit rows of one thing that passes over no others. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table missions add column output_chars bigint not null default 0`.execute(db)
  await sql`create index audit_by_ref on audit (tenant_id, ref, id)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop index audit_by_ref`.execute(db)
  await sql`alter table missions drop column output_chars`.execute(db)
}
