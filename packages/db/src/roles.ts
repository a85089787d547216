import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/** Keeps migrators that run at once from each other: Postgres refuses two grants on one object in the same moment. */
const GRANT_LOCK = 7_020_001

const SETTINGS = {
  statement_timeout: '5s',
  lock_timeout: '2s',
  idle_in_transaction_session_timeout: '5s',
  // Every statement of a service has an index to go by. Where the statistics of a queue say that most tasks are queued, the planner took
  // to reading all of `tasks` to find one (more than half of Postgres' time in a burst of chains); and a plan that is kept from when the
  // tables were empty would do so for good.
  enable_seqscan: 'off',
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
  await db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${GRANT_LOCK})`.execute(trx)
    for (const statement of grants(role)) await sql.raw(statement).execute(trx)
    const known = await sql<{ setting: string }>`
      select unnest(setconfig) as setting from pg_db_role_setting
      join pg_roles on pg_roles.oid = setrole where rolname = ${role} and setdatabase = 0`.execute(trx)
    for (const [name, value] of Object.entries(SETTINGS)) {
      if (known.rows.some(({ setting }) => setting === `${name}=${value}`)) continue
      await sql`alter role ${sql.id(role)} set ${sql.id(name)} = ${sql.lit(value)}`.execute(trx)
    }
  })
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
