/** Prepared statements through PgBouncer in transaction mode, which knows nothing of them. */
import { inTransaction, openDatabase } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { test as base } from '@hypercode/testkit'
import pg from 'pg'
import { sql } from 'kysely'
import { expect } from 'vitest'

const POOLS = 3

const test = base.extend('dbs', async ({ database }, { onCleanup }) => {
  const handles = Array.from({ length: POOLS }, (_, n) =>
    openDatabase({
      url: database.url,
      poolMax: 4,
      applicationName: `kept-${n}`,
      onIdleError: () => undefined,
      keepPlanAfter: 1,
    }),
  )
  onCleanup(async () => void (await Promise.all(handles.map(async (handle) => handle.close()))))
  return handles.map(({ db }) => db)
})

const doubled = async (db: Db, n: number): Promise<number | undefined> =>
  (await sql<{ n: number }>`select ${n}::int * 2 as n`.execute(db)).rows[0]?.n

const runsOf = async (db: Db, text: string): Promise<number> =>
  (
    await sql<{ runs: number }>`
      select coalesce(sum(generic_plans + custom_plans), 0)::int as runs from pg_prepared_statements where statement like ${text}`.execute(
      db,
    )
  ).rows[0]?.runs ?? 0

const some = <T>(count: number, run: (n: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, n) => run(n)))

// Goal: whichever server connection a statement meets, it gets its answer, and most find their plan there.
// Method: processes that know nothing of each other, and far more statements at once than there are connections.
test('statements of many processes find their plans', async ({ dbs }) => {
  const answers = await some(600, async (n) => {
    const db = dbs[n % POOLS] as Db
    return n % 3 === 0 ? inTransaction(db, async (trx) => doubled(trx, n)) : doubled(db, n)
  })
  expect(answers).toEqual(Array.from({ length: 600 }, (_, n) => n * 2))
  expect(await runsOf(dbs[0] as Db, 'select $1::int * 2 as n')).toBeGreaterThan(10)
})

test('a transaction finds what another process has prepared, and prepares what it lacks', async ({ dbs }) => {
  const [first, second] = dbs as [Db, Db]
  for (const db of [first, first, first, second, second, second]) await sql`select ${'x'}::text as x`.execute(db)
  for (const db of [first, second, first, second, first, second])
    expect(await inTransaction(db, async (trx) => [await doubled(trx, 1), await doubled(trx, 2)])).toEqual([2, 4])
  expect(await runsOf(first, 'select $1::int * 2 as n')).toBeGreaterThan(4)
})

test('a server connection that has forgotten all is told again', async ({ dbs: [db] }) => {
  if (db === undefined) throw new Error('no database')
  for (let round = 0; round < 5; round += 1) {
    expect(await some(20, async (n) => doubled(db, n))).toHaveLength(20)
    await some(8, async () => sql`deallocate all`.execute(db))
    expect(await inTransaction(db, async (trx) => doubled(trx, round))).toBe(round * 2)
    expect(await doubled(db, round)).toBe(round * 2)
  }
})

test('faults of a statement are told as they are, and harm nothing', async ({ dbs: [db] }) => {
  if (db === undefined) throw new Error('no database')
  const inverse = async (one: Db, n: number): Promise<unknown> => sql`select 10 / ${n}::int as n`.execute(one)
  for (let round = 0; round < 4; round += 1) {
    await expect(inverse(db, 0)).rejects.toMatchObject({ code: '22012' })
    await expect(inTransaction(db, async (trx) => inverse(trx, 0))).rejects.toMatchObject({ code: '22012' })
    expect(await inverse(db, 5)).toMatchObject({ rows: [{ n: 2 }] })
    expect(await inTransaction(db, async (trx) => inverse(trx, 5))).toMatchObject({ rows: [{ n: 2 }] })
  }
})

test('a migration that changes what a statement answers stops nobody', async ({ dbs: [db], database }) => {
  if (db === undefined) throw new Error('no database')
  const owner = new pg.Client(database.directUrl)
  await owner.connect()
  try {
    const read = async (one: Db): Promise<unknown[]> =>
      (await sql`select * from tenants where name = ${'nobody'} or ${true}::boolean limit 1`.execute(one)).rows
    for (let n = 0; n < 5; n += 1) await read(db)
    await owner.query('alter table tenants add column motto text')
    expect(await read(db)).toEqual([])
    for (let n = 0; n < 5; n += 1) await inTransaction(db, read)
    await owner.query('alter table tenants add column crest text')
    expect(await inTransaction(db, read)).toEqual([])
  } finally {
    await owner.end()
  }
})

test('only so many statements are kept', async ({ dbs: [db] }) => {
  if (db === undefined) throw new Error('no database')
  for (let shape = 0; shape < 80; shape += 1)
    for (let n = 0; n < 3; n += 1)
      expect(await sql<{ n: number }>`select ${n}::int + ${sql.lit(shape)} as n`.execute(db)).toMatchObject({
        rows: [{ n: n + shape }],
      })
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from pg_prepared_statements`.execute(db)
  expect(rows[0]?.n).toBeGreaterThan(0)
  expect(rows[0]?.n).toBeLessThanOrEqual(50)
})
