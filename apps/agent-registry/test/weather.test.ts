import { throughProxy, waitFor } from '@hypercode/testkit'
import { expect } from 'vitest'
import { eventsOf, test } from './registry.ts'

// Goal: while the database is away the caller is told to come back, and afterwards everything is as if it had come once.
test('a database that is away is answered 503 with Retry-After, and loses nothing', async ({
  startRegistry,
  database,
  db,
  tenant,
}) => {
  await throughProxy(database.url, { poolMax: 3 }, async (far, proxy) => {
    const registry = await startRegistry({}, far)
    const agent = registry.caller()
    const { body } = await agent.register()
    const beat = async (seq: number) => await agent.beat(body.id, { incarnation: 1, seq })
    expect((await beat(1)).status).toBe(200)
    await proxy.setMode('refuse')
    for (const answer of [await beat(2), await agent.register(), await agent.call('GET', '/v1/agents')]) {
      expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } })
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    }
    await proxy.setMode('pass')
    await waitFor(async () => (await beat(3)).status === 200, { what: 'a beat to be taken' })
    expect((await agent.register()).body.incarnation).toBe(2)
    expect((await eventsOf(db, tenant.id)).map((event) => event.type)).toEqual([
      'agent.registered',
      'agent.health.changed',
      'agent.registered',
    ])
  })
})

// Did it commit? The answer of Postgres is lost on its way, so nobody knows. The repeated unit must come out right all the same.
test('a beat whose commit was cut off is repeated, and answered once', async ({ startRegistry, database }) => {
  await throughProxy(database.url, { poolMax: 1, connectTimeoutMs: 2000, queryTimeoutMs: 6000 }, async (far, proxy) => {
    const registry = await startRegistry({}, far)
    const agent = registry.caller()
    const { body } = await agent.register()
    await agent.beat(body.id, { incarnation: 1, seq: 1 })
    const cut = proxy.cutReply((request) => request.includes('heartbeat_seq'))
    const answer = await agent.beat(body.id, { incarnation: 1, seq: 2 })
    await cut
    expect(answer).toMatchObject({ status: 200, body: { lifecycle: 'ready' } })
    expect(answer.body.leaseMs).toBeGreaterThan(13_000)
    const registered = proxy.cutReply((request) => request.includes('insert into agent_events'))
    const again = await agent.register()
    await registered
    expect(again).toMatchObject({ status: 200, body: { incarnation: 2 } })
  })
})
