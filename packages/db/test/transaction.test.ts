import { newId } from '@hypercode/contracts'
import { inTransaction, isConnectionError, isRetryable, openDatabase, repeatable } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { createFaultProxy, test as base } from '@hypercode/testkit'
import pg from 'pg'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'

const test = base
  /** A proxy before PgBouncer, and the database as a service sees it through that. */
  .extend('proxy', async ({ database }, { onCleanup }) => {
    const proxy = await createFaultProxy(database.url)
    onCleanup(async () => await proxy.stop())
    return proxy
  })
  .extend('proxied', async ({ database, proxy }, { onCleanup }) => {
    const handle = openDatabase({
      url: proxy.through(database.url),
      poolMax: 3,
      applicationName: 'proxied',
      onIdleError: () => undefined,
      connectTimeoutMs: 500,
      queryTimeoutMs: 1000,
    })
    onCleanup(async () => await handle.close())
    return handle.db
  })

/** Resolves when `parties` have come, once; who comes later passes at once. */
function barrier(parties: number): () => Promise<void> {
  let come = 0
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  return async () => {
    come += 1
    if (come === parties) open()
    await opened
  }
}

const rename = async (trx: Trx, id: string, name: string): Promise<void> => {
  await trx.updateTable('tenants').set({ name }).where('id', '=', id).execute()
}

describe('tries again', () => {
  // Method: two transactions take two rows in opposite orders, and each waits until the other has its first one.
  test('after a deadlock', async ({ db, database, tenant, secondTenant }) => {
    const owner = new pg.Client(database.directUrl)
    await owner.connect()
    await owner.query(`alter database ${database.name} set deadlock_timeout = '50ms'`)
    await owner.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()`,
      [database.name],
    ) // sessions that are open keep the old setting
    await owner.end()
    const meet = barrier(2)
    let tries = 0
    const inOrder = async (ids: readonly string[], name: string): Promise<void> => {
      await inTransaction(db, async (trx) => {
        tries += 1
        await rename(trx, ids[0] ?? '', `${name}-0`)
        await meet()
        await rename(trx, ids[1] ?? '', `${name}-1`)
      })
    }
    const [a, b] = [tenant.id, secondTenant.id]
    await Promise.all([inOrder([a, b], 'one'), inOrder([b, a], 'two')])
    expect(tries).toBe(3)
    const names = await db.selectFrom('tenants').select('name').execute()
    expect(names.map(({ name }) => name).toSorted()).toBeOneOf([
      ['one-0', 'one-1'],
      ['two-0', 'two-1'],
    ])
  })

  // Method: two serializable transactions read both rows before either writes the one that the other has read.
  test('after a serialization failure', async ({ db, tenant, secondTenant }) => {
    const meet = barrier(2)
    let tries = 0
    const swap = async (from: string, to: string): Promise<void> => {
      await inTransaction(db, async (trx) => {
        tries += 1
        await sql`set transaction isolation level serializable`.execute(trx)
        const { name } = await trx.selectFrom('tenants').select('name').where('id', '=', from).executeTakeFirstOrThrow()
        await meet()
        await rename(trx, to, `${name}+`)
      })
    }
    await Promise.all([swap(tenant.id, secondTenant.id), swap(secondTenant.id, tenant.id)])
    expect(tries).toBe(3)
    const names = await db.selectFrom('tenants').select('name').execute()
    // One after the other, whichever was first: never both from what was there before.
    expect(names.map(({ name }) => name.replaceAll('+', '').length)).toHaveLength(2)
    expect(names.map(({ name }) => name.split('+').length - 1).toSorted((a, b) => a - b)).toEqual([1, 2])
  })

  test('after a connection that was cut in the middle', async ({ db, proxied, proxy }) => {
    let tries = 0
    const id = newId()
    await inTransaction(proxied, async (trx) => {
      tries += 1
      await trx
        .insertInto('tenants')
        .values({ id, name: `try ${tries}` })
        .execute()
      if (tries === 1) expect(proxy.cut()).toBe(1)
      await sql`select 1`.execute(trx)
    })
    expect(tries).toBe(2)
    expect(await db.selectFrom('tenants').select('name').execute()).toEqual([{ name: 'try 2' }])
  })

  // Goal: a commit whose answer was lost is done again, which is why work must be repeatable.
  test('after a commit whose answer was lost', async ({ db, proxied, proxy }) => {
    let tries = 0
    const id = newId()
    const cut = proxy.cutReply((request) => request.includes('commit'))
    await inTransaction(proxied, async (trx) => {
      tries += 1
      await trx
        .insertInto('tenants')
        .values({ id, name: `try ${tries}` })
        .onConflict((oc) => oc.doNothing())
        .execute()
    })
    await cut
    expect(tries).toBe(2)
    expect(await db.selectFrom('tenants').select('name').execute()).toEqual([{ name: 'try 1' }])
  })

  test('after a server that refuses, once it is back', async ({ proxied, proxy, tenant }) => {
    await sql`select 1`.execute(proxied)
    await proxy.setMode('refuse')
    let tries = 0
    const found = await repeatable(async () => {
      tries += 1
      if (tries === 2) await proxy.setMode('pass')
      return await proxied.selectFrom('tenants').select('id').execute()
    })
    expect(tries).toBe(2)
    expect(found).toEqual([{ id: tenant.id }])
  })

  test('but not for ever', async ({ proxied, proxy }) => {
    await proxy.setMode('refuse')
    let tries = 0
    const work = inTransaction(proxied, async () => undefined, 2).finally(() => (tries += 1))
    await expect(work).rejects.toSatisfy(isConnectionError)
    expect(tries).toBe(1)
    let calls = 0
    const failing = repeatable(async () => {
      calls += 1
      throw Object.assign(new Error('again'), { code: '40001' })
    }, 4)
    await expect(failing).rejects.toThrow('again')
    expect(calls).toBe(4)
  })
})

describe('does not try again', () => {
  const once = async (db: Db, work: (trx: Trx) => Promise<unknown>): Promise<{ tries: number; error: unknown }> => {
    let tries = 0
    const error: unknown = await inTransaction(db, async (trx) => {
      tries += 1
      await work(trx)
    }).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    return { tries, error }
  }
  const CASES: readonly (readonly [string, string, (trx: Trx, tenantId: string) => Promise<unknown>])[] = [
    [
      'after a duplicate',
      '23505',
      async (trx, id) => await trx.insertInto('tenants').values({ id, name: 'x' }).execute(),
    ],
    [
      'after a broken check',
      '23514',
      async (trx) =>
        await sql`insert into revocations (tenant_id, kind, ref, expires_at)
      values (gen_random_uuid(), 'x', gen_random_uuid(), now())`.execute(trx),
    ],
    ['after a wrong statement', '42601', async (trx) => await sql`selec 1`.execute(trx)],
    [
      'after a statement that took too long',
      '57014',
      async (trx) => {
        await sql`set local statement_timeout = '50ms'`.execute(trx)
        await sql`select pg_sleep(2)`.execute(trx)
      },
    ],
  ]
  for (const [what, code, work] of CASES)
    test(what, async ({ db, tenant }) => {
      const { tries, error } = await once(db, async (trx) => await work(trx, tenant.id))
      expect(error).toMatchObject({ code })
      expect([tries, isRetryable(error), isConnectionError(error)]).toEqual([1, false, false])
    })

  test('after an error of our own, and nothing of the work stays', async ({ db, tenant }) => {
    const { tries, error } = await once(db, async (trx) => {
      await rename(trx, tenant.id, 'half done')
      throw new TypeError('a bug')
    })
    expect([tries, error]).toEqual([1, new TypeError('a bug')])
    expect(await db.selectFrom('tenants').select('name').execute()).toEqual([{ name: tenant.name }])
  })
})
