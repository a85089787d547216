import { newId } from '@hypercode/contracts'
import type { Instance, Problem } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { forgetOldSpawns } from '../src/store/spawns.ts'
import { test } from './factory.ts'
import type { Caller } from './factory.ts'

const spawnOnce = async (caller: Caller, key: string, body: object = {}, version = '1') =>
  await caller.call<{ instances: Instance[] } & Problem>(
    'POST',
    `/v1/blueprints/coder/versions/${version}:spawn`,
    body,
    { 'idempotency-key': key },
  )

const idsOf = ({ body }: { body: { instances: Instance[] } }): string[] => body.instances.map(({ id }) => id)

// Goal: who does not know whether a spawn was carried out may repeat it. The loops stand still, so that nothing else makes instances.
describe('a spawn with an Idempotency-Key', () => {
  test('is carried out once and answered the same, also when the instances have ended', async ({ startFactory }) => {
    const caller = (await startFactory()).caller()
    await caller.blueprint('coder')
    const first = await spawnOnce(caller, 'k-1', { count: 2, labels: { a: '1', b: '2' } })
    expect([first.status, first.headers['idempotency-replayed']]).toEqual([201, undefined])
    const [one] = first.body.instances as [Instance]
    await caller.call('POST', `/v1/instances/${one.id}:stop`)
    // How long to wait is no part of the request, and neither is the order of its members.
    const again = await spawnOnce(caller, 'k-1', { labels: { b: '2', a: '1' }, waitMs: 10, count: 2 })
    expect([again.status, again.headers['idempotency-replayed']]).toEqual([201, 'true'])
    expect(idsOf(again).toSorted()).toEqual(idsOf(first).toSorted())
    expect(await caller.instances()).toHaveLength(2)
    expect(idsOf(await spawnOnce(caller, 'k-2'))).not.toContain(one.id)
    expect(await caller.instances()).toHaveLength(3)
  })

  test('is carried out once by many at once, through two factories', async ({ startFactory }) => {
    const callers = [(await startFactory()).caller(), (await startFactory()).caller()] as const
    await callers[0].blueprint('coder', { population: { min: 0, max: 10 } })
    const answers = await Promise.all(
      Array.from({ length: 8 }, async (_, n) => await spawnOnce(callers[n % 2 === 0 ? 0 : 1], 'k', { count: 2 })),
    )
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(201))
    expect(answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true')).toHaveLength(7)
    expect(new Set(answers.map((answer) => idsOf(answer).toSorted().join())).size).toBe(1)
    expect(await callers[0].instances()).toHaveLength(2)
  })

  test.for<[string, object, string]>([
    ['another number', { count: 2 }, '1'],
    ['another pool', { pool: 'p' }, '1'],
    ['other labels', { labels: { a: '1' } }, '1'],
    ['other variables', { env: { GREETING: 'hello' } }, '1'],
    ['another version', {}, 'latest'],
  ])('and %s is refused', async ([, body, version], { startFactory }) => {
    const caller = (await startFactory()).caller()
    await caller.blueprint('coder')
    expect((await spawnOnce(caller, 'k')).status).toBe(201)
    expect(await spawnOnce(caller, 'k', body, version)).toMatchObject({
      status: 422,
      body: { code: 'idempotency_mismatch' },
    })
    expect(await caller.instances()).toHaveLength(1)
  })

  test('that was refused leaves its key free', async ({ startFactory }) => {
    const caller = (await startFactory()).caller()
    await caller.blueprint('coder', { population: { min: 0, max: 1 } })
    expect((await spawnOnce(caller, 'k', { count: 2 })).status).toBe(409)
    expect((await spawnOnce(caller, 'k')).status).toBe(201)
  })

  test('is another one in another tenant, and after a week', async ({ startFactory, db, secondTenant }) => {
    const factory = await startFactory()
    const [caller, other] = [factory.caller(), factory.caller({ tenantId: secondTenant.id })]
    for (const one of [caller, other]) await one.blueprint('coder')
    const first = idsOf(await spawnOnce(caller, 'k'))
    expect((await spawnOnce(other, 'k', { pool: 'theirs' })).status).toBe(201)
    expect(await forgetOldSpawns(db)).toBe(0)
    await sql`update spawns set created_at = now() - interval '8 days' where instance_ids = ${first}::uuid[]`.execute(
      db,
    )
    expect(await forgetOldSpawns(db)).toBe(1)
    expect(idsOf(await spawnOnce(caller, 'k'))).not.toEqual(first)
    expect((await spawnOnce(other, 'k')).body.code).toBe('idempotency_mismatch')
  })

  test('has a key that a header can hold', async ({ startFactory }) => {
    const caller = (await startFactory()).caller()
    await caller.blueprint('coder')
    for (const key of ['', 'a b', 'x'.repeat(201)]) expect((await spawnOnce(caller, key)).status).toBe(400)
    expect((await spawnOnce(caller, `${newId()}~!"`)).status).toBe(201)
  })
})
