import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** Since when a mission that did not succeed undoes what its tasks have done. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table missions add column compensating_at timestamptz`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table missions drop column compensating_at`.execute(db)
}
