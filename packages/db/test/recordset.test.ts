import { recordset } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { test } from '@hypercode/testkit'
import fc from 'fast-check'
import { sql } from 'kysely'
import { expect } from 'vitest'

interface Sent {
  id: string
  text?: string | null | undefined
  count?: number | null | undefined
  on?: boolean
  body?: unknown
}

const COLUMNS = 'id uuid, text text, count int, "on" bool, body jsonb'

const roundTrip = async (db: Db, rows: readonly Sent[]): Promise<unknown[]> =>
  (await sql`select * from ${recordset(rows, 'r', COLUMNS)}`.execute(db)).rows

/** What Postgres can hold: no U+0000, and no half of a surrogate pair. The edge refuses the others. */
const storable = fc
  .string({ unit: 'binary', maxLength: 30 })
  .filter((text) => text.isWellFormed() && !text.includes('\0'))
const hostile = fc.constantFrom(
  `'; drop table tasks; --`,
  `"}]'::json) as r(id uuid); delete from tasks; --`,
  '$1',
  '\\u0041\\',
  '\u2028\u2029\u{1F642}\r\n\t\b',
  '{"a":null}',
  'null',
  '',
)
const text = fc.oneof(storable, hostile)
const body = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, text, fc.integer(), fc.boolean(), tie('list'), tie('object')),
  list: fc.array(fc.oneof(tie('value'), fc.constant(null)), { maxLength: 4 }),
  object: fc.dictionary(text, fc.oneof(tie('value'), fc.constant(null)), { maxKeys: 4 }),
})).value

const row: fc.Arbitrary<Sent> = fc.record(
  {
    id: fc.uuid(),
    text: fc.oneof(text, fc.constant(null), fc.constant(undefined)),
    count: fc.oneof(fc.integer(), fc.constant(null), fc.constant(undefined)),
    on: fc.boolean(),
    body: fc.oneof(body, fc.constant(undefined)),
  },
  { requiredKeys: ['id'] },
)

// Goal: a batch arrives as it was sent, in its order, whatever the texts in it are.
test('what goes in comes out', async ({ db }) => {
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 20 }), async (rows) => {
      const expected = rows.map(({ id, text, count, on, body }) => ({
        id,
        text: text ?? null,
        count: count ?? null,
        on: on ?? null,
        body: body ?? null,
      }))
      expect(await roundTrip(db, rows)).toEqual(expected)
    }),
    { numRuns: 150 },
  )
})

test('numbers keep all their digits in jsonb', async ({ db }) => {
  await fc.assert(
    fc.asyncProperty(fc.double({ noNaN: true, noDefaultInfinity: true }), async (number) => {
      const [saved] = (await roundTrip(db, [{ id: '00000000-0000-7000-8000-000000000000', body: { number } }])) as [
        { body: { number: number } },
      ]
      expect(saved.body.number).toBe(number === 0 ? 0 : number) // -0 has no JSON
    }),
    { numRuns: 150 },
  )
})

test('an empty batch is an empty table', async ({ db }) => {
  expect(await roundTrip(db, [])).toEqual([])
})

test('text that Postgres cannot hold is refused, not changed', async ({ db }) => {
  const id = '00000000-0000-7000-8000-000000000000'
  for (const wrong of ['a\0b', 'a\uD800b'])
    for (const sent of [
      { id, text: wrong },
      { id, body: [wrong] },
    ])
      await expect(roundTrip(db, [sent])).rejects.toThrow(/invalid|unsupported Unicode|surrogate/i)
})

test('a thousand rows are one statement of one shape', async ({ db }) => {
  const rows = Array.from({ length: 1000 }, (_, count) => ({ id: '00000000-0000-7000-8000-000000000000', count }))
  const compiled = sql`select * from ${recordset(rows, 'r', COLUMNS)}`.compile(db)
  expect(compiled.parameters).toHaveLength(COLUMNS.split(',').length)
  expect(compiled.sql).toBe(sql`select * from ${recordset([], 'r', COLUMNS)}`.compile(db).sql)
  expect(await roundTrip(db, rows)).toHaveLength(1000)
})
