import { newId } from '@hypercode/contracts'
import { inTransaction } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { test } from '@hypercode/testkit'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import { expect } from 'vitest'
import { missionRow } from './rows.ts'

const ROWS = 1000
const INPUT = JSON.stringify({ payload: 'x'.repeat(200) })

/** How many rows a statement changes, and how many of them without a new index entry, by what Postgres counts in the transaction. */
async function inPlace(db: Db, table: 'missions' | 'attempts', statement: RawBuilder<unknown>) {
  return await inTransaction(db, async (trx) => {
    await statement.execute(trx)
    const { rows } = await sql<{ changed: number; inPlace: number }>`
      select pg_stat_get_xact_tuples_updated(${table}::regclass) as changed,
        pg_stat_get_xact_tuples_hot_updated(${table}::regclass) as "inPlace"`.execute(trx)
    return rows[0]
  })
}

// Goal: what happens to every mission costs no index entry where no indexed column changes. Method: as many rows as a bulk request may
// submit, written by one statement and changed by one, which is when pages are fullest.
test('missions that one bulk request has submitted start in place', async ({ db }) => {
  const missions = Array.from({ length: ROWS }, () => missionRow({ state: 'submitted', input: INPUT }))
  await db.insertInto('missions').values(missions).execute()
  const start = sql`update missions set state = 'running', started_at = now(), event_seq = event_seq + 2, version = version + 1`
  expect(await inPlace(db, 'missions', start)).toEqual({ changed: ROWS, inPlace: ROWS })
})

test('attempts that one claim has begun end in place', async ({ db, tenant }) => {
  const attempts = Array.from({ length: ROWS }, () => ({
    task_id: newId(),
    attempt: 1,
    tenant_id: tenant.id,
    agent_instance_id: newId(),
    incarnation: 1,
    claim_id: newId(),
  }))
  await db.insertInto('attempts').values(attempts).execute()
  const end = sql`update attempts set ended_at = now(), outcome = 'completed', output_hash = sha256('output')`
  expect(await inPlace(db, 'attempts', end)).toEqual({ changed: ROWS, inPlace: ROWS })
})
