import { sql } from 'kysely'
import pg from 'pg'
import { describe, expect } from 'vitest'
import { expectNoConnections } from '../src/leaks.ts'
import { runServers } from '../src/run-client.ts'
import { test, waitFor } from '@hypercode/testkit'

describe('database', () => {
  test('is migrated, empty and the role of the services can use it through PgBouncer', async ({ db, database }) => {
    const { rows } = await sql<{ who: string; where: string }>`
      select current_user as who, current_database() as where`.execute(db)
    expect(rows).toEqual([{ who: 'hypercode_app', where: database.name }])
    expect(await db.selectFrom('tenants').selectAll().execute()).toEqual([])
    expect(await sql`show statement_timeout`.execute(db)).toMatchObject({ rows: [{ statement_timeout: '5s' }] })
  })

  const seen = new Set<string>()
  for (const turn of ['first', 'second'])
    test(`is another one for the ${turn} of two tests`, async ({ db, database, tenant, secondTenant }) => {
      expect(seen.has(database.name)).toBe(false)
      seen.add(database.name)
      const names = await db.selectFrom('tenants').select('name').orderBy('name').execute()
      expect(names.map(({ name }) => name)).toEqual([tenant.name, secondTenant.name].toSorted())
    })

  test('is gone after its test', async () => {
    const { directUrl } = await runServers()
    const client = new pg.Client(directUrl)
    await client.connect()
    const { rows } = await client.query('select datname from pg_database where datname = any($1)', [[...seen]])
    await client.end()
    expect(seen.size).toBe(2)
    expect(rows).toEqual([])
  })
})

// Method: leave a connection open and look before the fixture does; then close it, since the fixture would fail this test as well.
describe('a connection that a test leaves open is found and the test is named', () => {
  for (const [way, kind] of [
    ['url', 'through PgBouncer'],
    ['directUrl', 'straight to Postgres'],
  ] as const)
    test(kind, async ({ database }) => {
      const servers = await runServers()
      const client = new pg.Client({ connectionString: database[way], application_name: 'leaky' })
      await client.connect()
      await client.query('select 1')
      await expect(expectNoConnections(servers, database.name, 'my test', 200)).rejects.toThrow(
        new RegExp(`"my test" left 1 connection.*leaky ${kind}`),
      )
      await client.end()
      await expectNoConnections(servers, database.name, 'my test')
    })
})

describe('redis', () => {
  let last = ''
  test('gives every test keys of its own', async ({ redis, keys, keyPrefix }) => {
    last = keyPrefix
    await redis.set(keys.bell, 'x')
    await redis.set(`${keyPrefix}:more`, 'x')
    expect(keys.bell.startsWith(keyPrefix)).toBe(true)
    expect(await redis.keys(`${keyPrefix}*`)).toHaveLength(2)
  })
  test('and deletes them after it', async ({ redis, keyPrefix }) => {
    expect(keyPrefix).not.toBe(last)
    expect(await redis.keys(`${last}*`)).toEqual([])
  })
})

describe('startService', () => {
  let url = ''
  test('starts a service', async ({ startService }) => {
    const service = await startService({
      entry: 'packages/testkit/test/programs/tiny-service.ts',
      portVariable: 'TINY_PORT',
      env: {},
    })
    url = service.url
    expect((await fetch(url)).ok).toBe(true)
  })
  test('and has stopped it after the test', async () => {
    await waitFor(
      async () =>
        await fetch(url).then(
          () => false,
          () => true,
        ),
      { what: 'a refused connection' },
    )
    expect(url).not.toBe('')
  })
})
