import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * The queue's index keeps an entry of every task that was claimed until a vacuum cleans it, and claims walk over them. In a table that is
 * large by its ended tasks Postgres would vacuum rarely (after a fifth of it has changed), and then skip its indexes as long as fewer than
 * 2 % of the pages have dead rows. Behind 1,000,000 ended tasks a claim finds and locks its task with 19 pages after such a clean-up, and
 * with 33 to 41 without.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table tasks set (vacuum_index_cleanup = on, autovacuum_vacuum_scale_factor = 0.02)`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table tasks reset (vacuum_index_cleanup, autovacuum_vacuum_scale_factor)`.execute(db)
}
