import { newId } from '@hypercode/contracts'
import { test } from '@hypercode/testkit'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { missionRow, taskRow } from './rows.ts'

test('bigint comes as a number, also from counts and beyond 32 bits', async ({ db, tenant }) => {
  const large = 2 ** 40
  const row = taskRow({ total_timeout_ms: large, tenant_id: tenant.id })
  const saved = await db.insertInto('tasks').values(row).returning(['total_timeout_ms', 'version']).executeTakeFirst()
  expect(saved).toEqual({ total_timeout_ms: large, version: 1 })
  expect(
    await db
      .selectFrom('tasks')
      .select(({ fn }) => fn.countAll().as('n'))
      .executeTakeFirst(),
  ).toEqual({ n: 1 })
  const { rows } =
    await sql`select ${large}::bigint as one, array[1, 2]::int[] as ints, null::bigint as nothing`.execute(db)
  expect(rows).toEqual([{ one: large, ints: [1, 2], nothing: null }])
})

test('instants come as Date to the millisecond, bytes as Buffer, uuids as text', async ({ db, tenant }) => {
  const [deadline_at, request_hash] = [new Date('2030-05-06T07:08:09.123Z'), Buffer.from([0, 255, 10])]
  const row = missionRow({ deadline_at, request_hash, tenant_id: tenant.id })
  await db.insertInto('missions').values(row).execute()
  expect(await db.selectFrom('missions').selectAll().executeTakeFirst()).toMatchObject({
    id: row.id,
    deadline_at,
    request_hash,
    ended_at: null,
  })
})

test('jsonb keeps arrays, texts and null as JSON', async ({ db }) => {
  for (const input of [[1, [2, { a: 'b' }]], 'text', null, 7, false, { quote: `"'\\` }]) {
    const { id } = await db
      .insertInto('missions')
      .values(missionRow({ input: JSON.stringify(input) }))
      .returning('id')
      .executeTakeFirstOrThrow()
    const saved = await db.selectFrom('missions').select('input').where('id', '=', id).executeTakeFirst()
    expect(saved).toEqual({ input })
  }
})

test('ids sort by the time they were made', async ({ db }) => {
  const rows = Array.from({ length: 50 }, () => taskRow({ id: newId() }))
  await db.insertInto('tasks').values(rows.toReversed()).execute()
  const saved = await db.selectFrom('tasks').select('id').orderBy('id').execute()
  expect(saved.map(({ id }) => id)).toEqual(rows.map(({ id }) => id))
})
