import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** Keeps migrators that run at once from each other: Postgres refuses two grants on one object in the same moment. */
const GRANT_LOCK = 7_020_001

/** How long older connections are waited for that are in the middle of a transaction. */
const CLOSE_MS = 5000
const CLOSE_POLL_MS = 20

const SETTINGS = {
  statement_timeout: '5s',
  lock_timeout: '2s',
  idle_in_transaction_session_timeout: '5s',
  // Every statement of a service has an index to go by. Where the statistics of a queue say that most tasks are queued, the planner took
  // to reading all of `tasks` to find one (more than half of Postgres' time in a burst of chains); and a plan that is kept from when the
  // tables were empty would do so for good.
  enable_seqscan: 'off',
  // A statement that keeps its plan shall not be planned anew each time. Left to itself the planner does so for those that take their rows as
  // arrays: it takes an array for ten rows, finds a plan for the one that is there cheaper, and does not count that to make it takes longer than to
  // run it. A mission of one task takes 7.5 ms instead of 9.0, in turns; 172 us of Postgres instead of 212 in a crowd.
  plan_cache_mode: 'force_generic_plan',
} as const

/**
 * What the role of the services may do: read and write rows. It can only add to the audit, and never chooses the number or the time of
 * an audit row; it cannot touch the record of migrations. Its settings live on the role because PgBouncer refuses them as start-up
 * parameters and a plain SET would leak to the next client of the pooled connection.
 */
export async function grantTo<T>(db: Kysely<T>, role: string): Promise<void> {
  const me = await sql<{ me: string }>`select current_user as me`.execute(db)
  if (me.rows[0]?.me === role) return
  // One transaction, so that no service has a right in between that it loses again.
  const isNew = await db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${GRANT_LOCK})`.execute(trx)
    for (const statement of grants(role)) await sql.raw(statement).execute(trx)
    const known = await sql<{ setting: string }>`
      select unnest(setconfig) as setting from pg_db_role_setting
      join pg_roles on pg_roles.oid = setrole where rolname = ${role} and setdatabase = 0`.execute(trx)
    const missing = Object.entries(SETTINGS).filter(
      ([name, value]) => !known.rows.some(({ setting }) => setting === `${name}=${value}`),
    )
    for (const [name, value] of missing)
      await sql`alter role ${sql.id(role)} set ${sql.id(name)} = ${sql.lit(value)}`.execute(trx)
    return missing.length > 0
  })
  if (isNew) await closeOlder(db, role)
}

/**
 * Closes the role's connections to this database that began before its settings were what they are now, as soon as they are idle. The
 * pooler would keep them for an hour, and hand them out first: one that was opened to see whether the pooler is up, before the first
 * migration, served most statements without a time-out and with sequential scans. It opens others; who is hit in between has lost a
 * connection, which every service survives. Where the migrating role may not end them, they stay until the pooler renews them.
 */
async function closeOlder<T>(db: Kysely<T>, role: string): Promise<void> {
  const since = await sql<{ at: string }>`select clock_timestamp()::text as at`.execute(db)
  const deadline = performance.now() + CLOSE_MS
  for (;;) {
    const found = await sql<{ busy: number }>`
      with older as materialized (
        select pid, state from pg_stat_activity where usename = ${role} and datname = current_database()
          and backend_start < ${since.rows[0]?.at}::timestamptz
          and (pg_has_role('pg_signal_backend', 'usage') or pg_has_role(usename, 'usage')))
      select count(*) filter (where case when state = 'idle' then not pg_terminate_backend(pid) else true end)::int as busy from older`.execute(
      db,
    )
    if (found.rows[0]?.busy === 0 || performance.now() > deadline) return
    await new Promise((resolve) => setTimeout(resolve, CLOSE_POLL_MS))
  }
}

function grants(role: string): string[] {
  const name = `"${role.replaceAll('"', '""')}"`
  return [
    `grant usage on schema public to ${name}`,
    `grant select, insert, update, delete on all tables in schema public to ${name}`,
    `grant usage, select on all sequences in schema public to ${name}`,
    `revoke insert, update, delete, truncate on audit from ${name}`,
    `grant insert (tenant_id, actor, action, ref, detail) on audit to ${name}`,
    `revoke all on kysely_migration, kysely_migration_lock from ${name}`,
  ]
}
