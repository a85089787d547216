import { sql } from 'kysely'
import type { Kysely } from 'kysely'

/**
 * What the role of the services may do: read and write rows, but never change or delete an audit row. Its time-outs live on the role
 * because PgBouncer refuses them as start-up parameters and a plain SET would leak to the next client of the pooled connection.
 */
export async function grantTo<T>(db: Kysely<T>, role: string): Promise<void> {
  const me = await sql<{ me: string }>`select current_user as me`.execute(db)
  if (me.rows[0]?.me === role) return
  const name = sql.id(role)
  await sql`grant usage on schema public to ${name}`.execute(db)
  await sql`grant select, insert, update, delete on all tables in schema public to ${name}`.execute(db)
  await sql`grant usage, select on all sequences in schema public to ${name}`.execute(db)
  await sql`revoke update, delete, truncate on audit from ${name}`.execute(db)
  await sql`alter role ${name} set statement_timeout = '5s'`.execute(db)
  await sql`alter role ${name} set lock_timeout = '2s'`.execute(db)
  await sql`alter role ${name} set idle_in_transaction_session_timeout = '5s'`.execute(db)
}
