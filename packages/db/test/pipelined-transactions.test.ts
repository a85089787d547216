/** Transactions whose `begin` and `commit` travel with their statements, through PgBouncer. */
import { AND_COMMIT, inTransaction, openDatabase } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { test as base } from '@hypercode/testkit'
import { sql } from 'kysely'
import pg from 'pg'
import { describe, expect } from 'vitest'

const test = base.extend('db', async ({ database }, { onCleanup }) => {
  const handle = openDatabase({
    url: database.url,
    poolMax: 2,
    applicationName: 'pipelined',
    onIdleError: () => undefined,
    keepPlanAfter: 1,
  })
  onCleanup(async () => await handle.close())
  const owner = new pg.Client(database.directUrl)
  await owner.connect()
  await owner.query('create table marks (n int primary key); grant all on marks to public')
  await owner.end()
  return handle.db
})

const mark = async (db: Db, n: number, last = sql``): Promise<unknown> =>
  await sql`insert into marks (n) values (${n}) ${last}`.execute(db)
const marks = async (db: Db): Promise<number[]> =>
  (await sql<{ n: number }>`select n from marks order by n`.execute(db)).rows.map(({ n }) => n)
/** Server connections that are in the middle of a transaction. */
const leftOpen = async (db: Db): Promise<number | undefined> =>
  (
    await sql<{ n: number }>`
      select count(*)::int as n from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`.execute(
      db,
    )
  ).rows[0]?.n

describe('a transaction', () => {
  test('commits with its last statement, and keeps all of it', async ({ db }) => {
    for (let round = 0; round < 30; round += 3) {
      await inTransaction(db, async (trx) => {
        await mark(trx, round)
        await mark(trx, round + 1, AND_COMMIT)
      })
      await inTransaction(db, async (trx) => await mark(trx, round + 2, AND_COMMIT))
      expect(await marks(db)).toHaveLength(round + 3)
      expect(await leftOpen(db)).toBe(0)
    }
  })

  test('whose last statement fails keeps nothing, and leaves the connection free', async ({ db }) => {
    await mark(db, 0)
    for (let round = 1; round < 10; round += 1) {
      const failing = inTransaction(db, async (trx) => {
        await mark(trx, round)
        await mark(trx, 0, AND_COMMIT)
      })
      await expect(failing).rejects.toMatchObject({ code: '23505' })
      expect(await marks(db)).toEqual([0])
      expect(await leftOpen(db)).toBe(0)
    }
  })

  test('whose first statement fails, or that throws between two, keeps nothing', async ({ db }) => {
    await mark(db, 0)
    for (let round = 1; round < 10; round += 1) {
      await expect(inTransaction(db, async (trx) => await mark(trx, 0))).rejects.toMatchObject({ code: '23505' })
      const thrown = inTransaction(db, async (trx) => {
        await mark(trx, round)
        throw new Error('changed my mind')
      })
      await expect(thrown).rejects.toThrow('changed my mind')
      expect(await marks(db)).toEqual([0])
      expect(await leftOpen(db)).toBe(0)
    }
  })

  test('without a statement is none', async ({ db }) => {
    expect(await inTransaction(db, async () => 'nothing')).toBe('nothing')
    expect(await leftOpen(db)).toBe(0)
  })

  test('refuses what comes behind its last statement', async ({ db }) => {
    const late = inTransaction(db, async (trx) => {
      await mark(trx, 1)
      await mark(trx, 2, AND_COMMIT)
      await mark(trx, 3)
    })
    await expect(late).rejects.toThrow('behind the last one')
    expect(await marks(db)).toEqual([1, 2])
    expect(await leftOpen(db)).toBe(0)
  })

  test('begins anew on a server connection that does not know its first statement', async ({ db }) => {
    const both = async (n: number): Promise<void> =>
      await inTransaction(db, async (trx) => {
        await mark(trx, n)
        await mark(trx, -n, AND_COMMIT)
      })
    const alone = async (n: number): Promise<unknown> =>
      await inTransaction(db, async (trx) => await mark(trx, n, AND_COMMIT))
    // Outside of transactions names are tried, and the first begin that meets one shows that this pooler hands them on.
    for (let n = 1; n <= 6; n += 1) await mark(db, n)
    for (let n = 7; n <= 12; n += 1) await both(n)
    for (let n = 13; n <= 24; n += 1) {
      await Promise.all([1, 2, 3, 4].map(async () => await sql`deallocate all`.execute(db)))
      await (n % 2 === 0 ? both(n) : alone(n))
      expect(await leftOpen(db)).toBe(0)
      await both(n + 100)
    }
    expect(await marks(db)).toHaveLength(6 + 6 * 2 + 6 * 3 + 12 * 2)
  })
})
