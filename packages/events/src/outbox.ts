import type { Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { Hint } from './hints.ts'

export interface OutboxRow {
  id: number
  hints: Hint[]
}

/** Writes the hints of a change in the transaction of the change; publish the row it answers once that has committed. */
export async function addToOutbox(trx: Trx, hints: Hint[]): Promise<OutboxRow> {
  const { id } = await trx
    .insertInto('outbox')
    .values({ payload: JSON.stringify(hints) })
    .returning('id')
    .executeTakeFirstOrThrow()
  return { id, hints }
}

/**
 * Takes rows that nobody has published in time, oldest first, and keeps other replicas off them for a while that grows with each try.
 * Rows are deleted once sent; a cursor over ids would lose rows of transactions that commit late.
 */
export async function takeDue(db: Db, limit: number): Promise<OutboxRow[]> {
  const taken = await sql<{ id: number; payload: Hint[] }>`
    update outbox set tries = tries + 1, next_try_at = now() + least(power(2, tries), 30) * interval '1 second'
    where id in (select id from outbox where next_try_at <= now() order by next_try_at, id limit ${limit} for update skip locked)
    returning id, payload`.execute(db)
  return taken.rows.map((row) => ({ id: row.id, hints: row.payload }))
}

export async function deleteSent(db: Db, ids: readonly number[]): Promise<void> {
  if (ids.length > 0) await sql`delete from outbox where id = any(${ids}::bigint[])`.execute(db)
}
