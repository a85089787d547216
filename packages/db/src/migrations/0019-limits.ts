import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * Budgets of missions, in a table of their own: a mission without one costs no statement anything. And the way from a mission to those
 * that do it again, whose kept tasks show its artifacts: it is not deleted before them. Missions that have ended need no index to be
 * found by their age: their ids grow with time.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create table mission_budgets (
    mission_id uuid primary key, tenant_id uuid not null, tokens_max bigint check (tokens_max > 0), usd_max numeric(18, 9) check (usd_max > 0),
    tokens_used bigint not null default 0, usd_used numeric not null default 0, exhausted_at timestamptz,
    check (tokens_max is not null or usd_max is not null),
    check ((exhausted_at is not null) = (coalesce(tokens_used >= tokens_max, false) or coalesce(usd_used >= usd_max, false))))`.execute(
    db,
  )
  await sql`create index missions_again on missions (parent_mission_id) where parent_mission_id is not null`.execute(db)
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop index missions_again`.execute(db)
  await sql`drop table mission_budgets`.execute(db)
}
