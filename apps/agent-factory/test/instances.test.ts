import { newId } from '@hypercode/contracts'
import type { Instance, Problem } from '@hypercode/contracts'
import { addRevocation } from '@hypercode/db'
import { signTestToken, waitFor } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { appendLines } from '../src/store/logs.ts'
import { test } from './factory.ts'

// The loops of the factory stand still here: nothing is started, and what the API says can be looked at in peace.
describe('spawning', () => {
  test('makes rows with a client each that cannot log in yet, up to the population', async ({ startFactory, db }) => {
    const caller = (await startFactory()).caller()
    await caller.blueprint('coder', { population: { min: 0, max: 3 } })
    const spawned = await caller.spawn('coder', 1, { count: 2, labels: { team: 'a' } })
    expect(spawned.map((one) => one.lifecycle)).toEqual(['provisioning', 'provisioning'])
    const clients = await db
      .selectFrom('clients')
      .select(['id', 'scopes', 'secret_hash'])
      .where(
        'id',
        'in',
        spawned.map((one) => one.subject),
      )
      .execute()
    expect(clients.map((client) => [client.secret_hash.length, client.scopes])).toEqual(
      Array(2).fill([0, ['agent:read', 'agent:write', 'task:claim', 'mission:read']]),
    )
    const refused = await caller.call<Problem>('POST', '/v1/blueprints/coder/versions/1:spawn', { count: 2 })
    expect(refused).toMatchObject({ status: 409, body: { code: 'no_capacity' } })
    // A pool has a population of its own.
    expect(await caller.spawn('coder', 1, { count: 3, pool: 'gym-1' })).toHaveLength(3)
  })

  test('by many at once never makes more than the population', async ({ startFactory }) => {
    const caller = (await startFactory()).caller()
    await caller.blueprint('coder', { population: { min: 0, max: 4 } })
    const answers = await Promise.all(
      Array.from({ length: 10 }, async () => await caller.call('POST', '/v1/blueprints/coder/versions/1:spawn')),
    )
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(4)
    expect(answers.filter((answer) => answer.status === 409)).toHaveLength(6)
    expect(await caller.instances()).toHaveLength(4)
  })

  test('has the bound of the factory, of all tenants', async ({ startFactory, secondTenant }) => {
    const factory = await startFactory(undefined, { instancesMax: 3 })
    for (const caller of [factory.caller(), factory.caller({ tenantId: secondTenant.id })])
      await caller.blueprint('coder')
    await factory.caller().spawn('coder', 1, { count: 2 })
    const other = factory.caller({ tenantId: secondTenant.id })
    expect((await other.call('POST', '/v1/blueprints/coder/versions/1:spawn', { count: 2 })).status).toBe(409)
    expect(await other.spawn('coder', 1, { count: 1 })).toHaveLength(1)
  })

  test('refuses variables as blueprints do', async ({ startFactory }) => {
    const caller = (await startFactory()).caller()
    await caller.blueprint('coder')
    const refused = await caller.call<Problem>('POST', '/v1/blueprints/coder/versions/1:spawn', {
      env: { LD_PRELOAD: '/x', GREETING: 'hello' },
    })
    expect(refused).toMatchObject({ status: 422, body: { faults: [{ pointer: '/env/LD_PRELOAD' }] } })
    expect(await caller.spawn('coder', 'latest', { env: { GREETING: 'hello' } })).toHaveLength(1)
  })
})

test('lists have filters and pages, and end at the tenant', async ({ startFactory, secondTenant }) => {
  const factory = await startFactory()
  const caller = factory.caller()
  await caller.blueprint('a')
  await caller.blueprint('b')
  const [one] = (await caller.spawn('a', 1)) as [Instance]
  const rest = await caller.spawn('b', 1, { count: 3, pool: 'gym-1' })
  const ids = async (query: string) => (await caller.instances(query)).map((found) => found.id)
  const newestFirst = [...rest.map((found) => found.id), one.id].toSorted().toReversed()
  expect(await ids('')).toEqual(newestFirst)
  expect(await ids('?blueprint=a')).toEqual([one.id])
  expect(await ids('?pool=gym-1')).toHaveLength(3)
  expect(await ids('?lifecycle=ready')).toEqual([])
  expect(await ids('?live=false')).toEqual([])
  const first = await caller.call<{ items: Instance[]; nextCursor: string }>('GET', '/v1/instances?limit=3')
  expect(await ids(`?limit=3&cursor=${first.body.nextCursor}`)).toEqual(newestFirst.slice(3))
  expect((await caller.call('GET', '/v1/instances?cursor=nonsense')).status).toBe(400)

  const other = factory.caller({ tenantId: secondTenant.id })
  expect(await other.instances()).toEqual([])
  for (const verb of [':stop', ':restart', ':hibernate', ':wake', ':release']) {
    expect((await other.call('POST', `/v1/instances/${one.id}${verb}`)).status).toBe(404)
  }
  expect(await other.call('GET', `/v1/instances/${one.id}/logs`)).toMatchObject({
    status: 404,
    body: { detail: `There is no instance ${one.id}.` },
  })
})

test('what is stopped before it was started ends without a process, and its client with it', async ({
  startFactory,
  db,
}) => {
  const factory = await startFactory()
  const caller = factory.caller()
  await caller.blueprint('coder')
  const [one] = (await caller.spawn('coder', 1)) as [Instance]
  await caller.call('POST', `/v1/instances/${one.id}:stop`)
  await factory.engine.pass()
  const ended = await caller.until(one.id, 'its end', (found) => found.endedAt !== undefined)
  expect(ended).toMatchObject({ lifecycle: 'failed', starts: 0 })
  const client = await db
    .selectFrom('clients')
    .select('revoked_at')
    .where('id', '=', one.subject)
    .executeTakeFirstOrThrow()
  expect(client.revoked_at).not.toBeNull()
  expect((await caller.call('POST', `/v1/instances/${one.id}:stop`)).status).toBe(200)
  expect((await caller.call('POST', `/v1/instances/${one.id}:restart`)).status).toBe(409)
})

test('output is kept once, within its bound, and read from where the reader was', async ({
  startFactory,
  db,
  tenant,
}) => {
  const factory = await startFactory(undefined, { tickMs: 50 })
  const caller = factory.caller()
  await caller.blueprint('coder')
  const [one] = (await caller.spawn('coder', 1)) as [Instance]
  factory.startLoops()
  await caller.until(one.id, 'its process', (found) => found.place !== undefined)
  const { launch_id: launchId, log_cursor: cursor } = await db
    .selectFrom('factory_instances')
    .select(['launch_id', 'log_cursor'])
    .where('id', '=', one.id)
    .executeTakeFirstOrThrow()
  const source = { instanceId: one.id, tenantId: tenant.id, launchId: String(launchId), cursor }
  const lines = Array.from({ length: 8 }, (_, index) => JSON.stringify({ msg: `line ${index + 1}` }))
  expect(await appendLines(db, source, lines, cursor + 1000, 5)).toBe(true)
  expect(await appendLines(db, source, lines, cursor + 1000, 5)).toBe(false)

  const read = async (query: string) =>
    (await caller.call('GET', `/v1/instances/${one.id}/logs?follow=false${query}`)).text
  const text = await read('')
  expect([...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]))).toEqual([4, 5, 6, 7, 8])
  expect(text).toContain('data: {"msg":"line 4"}\n\n')
  expect(await read('&cursor=7')).toBe('retry: 1000\n\nid: 8\ndata: {"msg":"line 8"}\n\n')

  const following = caller.call('GET', `/v1/instances/${one.id}/logs?cursor=8`)
  await waitFor(
    async () => await appendLines(db, { ...source, cursor: cursor + 1000 }, ['{"msg":"late"}'], cursor + 2000, 5),
    { what: 'another line' },
  )
  await caller.call('POST', `/v1/instances/${one.id}:stop`)
  // The stream ends by itself when the instance has.
  expect((await following).text).toContain('id: 9\ndata: {"msg":"late"}')
})

test('a stream of output ends with its token, which may be revoked meanwhile', async ({ startFactory, db, tenant }) => {
  const factory = await startFactory(undefined, { tickMs: 50 })
  const caller = factory.caller()
  await caller.blueprint('coder')
  const [one] = (await caller.spawn('coder', 1)) as [Instance]
  factory.startLoops()
  const clientId = newId()
  const authorization = `Bearer ${signTestToken({ tenantId: tenant.id, subject: clientId, scopes: ['instance:write'] })}`
  const url = `/v1/instances/${one.id}/logs`
  const following = factory.app.inject({ method: 'GET', url, headers: { authorization } })
  await addRevocation(db, { tenantId: tenant.id, kind: 'client', ref: clientId, lifeS: 900 })
  expect((await following).statusCode).toBe(200)
  expect((await factory.app.inject({ method: 'GET', url, headers: { authorization } })).statusCode).toBe(401)
  await caller.call('POST', `/v1/instances/${one.id}:stop`)
})
