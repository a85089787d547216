import { migrate, migrateDown } from '@hypercode/db'
import { test } from '@hypercode/testkit'
import pg from 'pg'
import { expect } from 'vitest'

/** Tables, columns, indexes, constraints, functions and rights of the schema, as sorted lines. */
async function dumpSchema(directUrl: string): Promise<string[]> {
  const client = new pg.Client(directUrl)
  await client.connect()
  try {
    const { rows } = await client.query<{ line: string }>(`
      select format('column %s.%s %s %s %s %s %s', table_name, column_name, data_type, is_nullable, column_default, is_identity,
        generation_expression) as line from information_schema.columns where table_schema = 'public'
      union all select 'index ' || indexdef from pg_indexes where schemaname = 'public'
      union all select format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
        from pg_constraint where connamespace = 'public'::regnamespace
      union all select 'function ' || pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
      union all select format('storage %s %s', relname, reloptions) from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r'
      union all select format('right of %s: %s on %s', grantee, privilege_type, table_name)
        from information_schema.role_table_grants where table_schema = 'public'
      order by line`)
    return rows.map(({ line }) => line).filter((line) => !line.includes('kysely_migration'))
  } finally {
    await client.end()
  }
}

// Goal: a migration can be taken back and done again, and nothing of it stays behind.
test('up, down, up, down, up: the schema is the same each time and empty in between', async ({ database }) => {
  const { directUrl } = database
  const first = await dumpSchema(directUrl)
  expect(first.length).toBeGreaterThan(200)
  for (const turn of [1, 2]) {
    await migrateDown(directUrl)
    expect(await dumpSchema(directUrl), `after going down, turn ${turn}`).toEqual([])
    const ran = await migrate({ directUrl, appRole: 'hypercode_app' })
    expect(ran).toEqual(ran.toSorted())
    expect(ran.length).toBeGreaterThan(0)
    expect(await dumpSchema(directUrl), `after going up, turn ${turn}`).toEqual(first)
  }
})

test('a database that is up to date is left alone', async ({ database, db, tenant }) => {
  expect(await migrate({ directUrl: database.directUrl })).toEqual([])
  expect(await db.selectFrom('tenants').select('id').execute()).toEqual([{ id: tenant.id }])
})

// Goal: two releases that start at once do not spoil each other. Method: four migrators, an empty database.
test('of several migrators at once one does the work and none fails', async ({ database }) => {
  const { directUrl } = database
  const first = await dumpSchema(directUrl)
  await migrateDown(directUrl)
  const ran = await Promise.all([1, 2, 3, 4].map(async () => await migrate({ directUrl, appRole: 'hypercode_app' })))
  expect(ran.filter((names) => names.length > 0)).toHaveLength(1)
  expect(await dumpSchema(directUrl)).toEqual(first)
})
