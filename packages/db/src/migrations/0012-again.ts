import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** Missions that do another one again, and the tasks of it that they keep. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table missions add column parent_mission_id uuid`.execute(db)
  await sql`alter table tasks add column kept_from uuid`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table tasks drop column kept_from`.execute(db)
  await sql`alter table missions drop column parent_mission_id`.execute(db)
}
