import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** What a task is held to beside retries and time-outs. No statement looks into it, and most tasks have none. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table tasks add column policy jsonb`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table tasks drop column policy`.execute(db)
}
