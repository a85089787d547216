import { newId } from '@hypercode/contracts'
import type { Agent } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { card, eventsOf, giveTask, leaseLeftMs, test } from './registry.ts'

describe('changing an agent', () => {
  test('description and labels, guarded by the etag', async ({ registry, db, tenant }) => {
    const agent = registry.caller()
    const { body } = await agent.register()
    const operator = registry.caller()
    const url = `/v1/agents/${body.id}`
    const read = await operator.call<Agent>('GET', url)
    expect(read.headers['etag']).toBe(read.body.etag)
    const first = await operator.call<Agent>(
      'PATCH',
      url,
      { description: 'writes code' },
      { 'if-match': read.body.etag },
    )
    expect(first).toMatchObject({ status: 200, body: { description: 'writes code', labels: {}, etag: '"2"' } })
    expect(first.headers['etag']).toBe('"2"')
    const late = await operator.call('PATCH', url, { labels: { a: 'b' } }, { 'if-match': read.body.etag })
    expect(late).toMatchObject({ status: 412, body: { code: 'version_mismatch' } })
    const open = await operator.call<Agent>('PATCH', url, { labels: { a: 'b' } })
    expect(open).toMatchObject({ status: 200, body: { description: 'writes code', labels: { a: 'b' }, etag: '"3"' } })
    const same = await operator.call<Agent>('PATCH', url, { labels: { a: 'b' } })
    expect(same.body.etag).toBe('"3"')
    expect((await eventsOf(db, tenant.id)).slice(1)).toMatchObject([
      { type: 'agent.updated', instance_id: null, body: { changed: ['description'], version: 2 } },
      { type: 'agent.updated', body: { changed: ['labels'], version: 3 } },
    ])
    const audit = await db.selectFrom('audit').select(['actor', 'ref']).where('action', '=', 'agent.updated').execute()
    expect(audit).toEqual(Array(2).fill({ actor: operator.subject, ref: body.id }))
  })

  test('of fifty guarded changes at once, one wins', async ({ registry }) => {
    const { body } = await registry.caller().register()
    const operator = registry.caller()
    const answers = await Promise.all(
      Array.from(
        { length: 50 },
        async (_, n) =>
          await operator.call('PATCH', `/v1/agents/${body.id}`, { description: `number ${n}` }, { 'if-match': '"1"' }),
      ),
    )
    expect(answers.filter((answer) => answer.status === 200).length).toBe(1)
    expect(answers.filter((answer) => answer.status === 412).length).toBe(49)
  })

  test('a change survives the next registration, unless the card says otherwise', async ({ registry }) => {
    const agent = registry.caller()
    const { body } = await agent.register()
    await registry.caller().call('PATCH', `/v1/agents/${body.id}`, { description: 'ours', labels: { a: 'b' } })
    await agent.register()
    expect(await agent.read(body.id)).toMatchObject({ description: 'ours', labels: { a: 'b' }, etag: '"2"' })
    await agent.register(card('coder', { labels: {} }))
    expect(await agent.read(body.id)).toMatchObject({ description: 'ours', labels: {}, etag: '"3"' })
  })

  test('what belongs to the server cannot be changed', async ({ registry }) => {
    const { body } = await registry.caller().register()
    const operator = registry.caller()
    for (const change of [{}, { name: 'other' }, { tenantId: newId() }, { health: 'passing' }, { etag: '"9"' }]) {
      expect((await operator.call('PATCH', `/v1/agents/${body.id}`, change)).status).toBe(400)
    }
  })
})

describe('draining', () => {
  test('gives no new task to any instance of the agent, once', async ({ registry, db, tenant }) => {
    const [one, two] = [registry.caller(), registry.caller()]
    const { body } = await one.register()
    await two.register()
    const task = await giveTask(db, { tenantId: tenant.id, ...body })
    const operator = registry.caller()
    for (let time = 0; time < 2; time += 1) {
      const answer = await operator.call<Agent>('POST', `/v1/agents/${body.id}:drain`)
      expect(answer.status).toBe(200)
      expect(answer.body.instances.map((instance) => instance.lifecycle)).toEqual(['draining', 'draining'])
    }
    expect((await eventsOf(db, tenant.id)).slice(2).map((event) => event.type)).toEqual([
      'agent.draining',
      'agent.draining',
    ])
    expect(await leaseLeftMs(db, task.taskId)).toBeGreaterThan(1000)
  })

  test('of one instance leaves the others alone', async ({ registry }) => {
    const [one, two] = [registry.caller(), registry.caller()]
    const { body: a } = await one.register()
    const { body: b } = await two.register()
    const operator = registry.caller()
    const answer = await operator.call<Agent>('POST', `/v1/agents/${a.id}:drain`, { instanceId: b.instanceId })
    const lifecycles = answer.body.instances.map(({ id, lifecycle }) => [id, lifecycle])
    expect(Object.fromEntries(lifecycles)).toEqual({ [a.instanceId]: 'ready', [b.instanceId]: 'draining' })
  })

  test('of an instance that is gone or never was is refused', async ({ registry }) => {
    const [agent, other] = [registry.caller(), registry.caller()]
    const { body } = await agent.register()
    const { body: theirs } = await other.register(card('reviewer'))
    const operator = registry.caller()
    const drain = async (instanceId: string) =>
      (await operator.call('POST', `/v1/agents/${body.id}:drain`, { instanceId })).body
    expect(await drain(newId())).toMatchObject({ code: 'not_found' })
    expect(await drain(theirs.instanceId)).toMatchObject({ code: 'not_found' })
    await agent.call('DELETE', `/v1/agents/${body.id}/instances/${body.instanceId}`)
    expect(await drain(body.instanceId)).toMatchObject({ code: 'conflict' })
  })

  test('outlives silence: a drained instance that beats again takes no work', async ({ registry, db }) => {
    const agent = registry.caller()
    const { body } = await agent.register()
    await sql`update agent_instances set health = 'critical', lifecycle = 'unhealthy'`.execute(db)
    await registry.caller().call('POST', `/v1/agents/${body.id}:drain`)
    expect((await agent.beat(body.id, { incarnation: 1, seq: 1 })).body.lifecycle).toBe('draining')
  })
})

describe('stopping', () => {
  test('an instance ends its leases at once, once', async ({ registry, db, tenant }) => {
    const agent = registry.caller()
    const { body } = await agent.register()
    const tasks = [
      await giveTask(db, { tenantId: tenant.id, ...body }),
      await giveTask(db, { tenantId: tenant.id, ...body }),
    ]
    const url = `/v1/agents/${body.id}/instances/${body.instanceId}`
    for (let time = 0; time < 2; time += 1) expect((await agent.call('DELETE', url)).status).toBe(204)
    for (const { taskId } of tasks) expect(await leaseLeftMs(db, taskId)).toBeLessThanOrEqual(0)
    const { instances, health } = await agent.read(body.id)
    expect(instances).toMatchObject([{ lifecycle: 'stopped', slotsUsed: 2 }])
    expect(new Date(instances[0]?.leaseExpiresAt ?? 0).getTime()).toBeLessThan(Date.now() + 1000)
    expect(health).toBe('unknown')
    expect((await eventsOf(db, tenant.id)).slice(1)).toMatchObject([
      { type: 'agent.stopped', instance_id: body.instanceId, body: { from: 'ready', lifecycle: 'stopped' } },
    ])
  })

  // Goal: a process on its way out never ends the one that has taken its place.
  test('and draining spare the incarnation that came after', async ({ registry }) => {
    const agent = registry.caller()
    const { body } = await agent.register()
    await agent.register()
    const { id, instanceId } = body
    const url = `/v1/agents/${id}/instances/${instanceId}`
    const drain = async (fence: object) => (await agent.call('POST', `/v1/agents/${id}:drain`, fence)).status
    expect(await agent.call('DELETE', `${url}?incarnation=1`)).toMatchObject({ status: 409, body: { code: 'fenced' } })
    expect(await drain({ instanceId, incarnation: 1 })).toBe(409)
    expect((await agent.read(id)).instances).toMatchObject([{ lifecycle: 'ready', incarnation: 2 }])
    expect(await drain({ incarnation: 2 })).toBe(400)
    expect((await agent.call('DELETE', `${url}?incarnation=0`)).status).toBe(400)
    expect(await drain({ instanceId, incarnation: 2 })).toBe(200)
    expect((await agent.read(id)).instances).toMatchObject([{ lifecycle: 'draining' }])
    expect((await agent.call('DELETE', `${url}?incarnation=2`)).status).toBe(204)
    expect((await agent.read(id)).instances).toMatchObject([{ lifecycle: 'stopped' }])
  })

  test('an instance of another agent under this one is not found', async ({ registry }) => {
    const { body } = await registry.caller().register()
    const { body: theirs } = await registry.caller().register(card('reviewer'))
    const operator = registry.caller()
    const answer = await operator.call('DELETE', `/v1/agents/${body.id}/instances/${theirs.instanceId}`)
    expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } })
  })

  test('deleting an agent stops its instances and makes it invisible', async ({ registry, db, tenant }) => {
    const [one, two] = [registry.caller(), registry.caller()]
    const { body } = await one.register()
    await two.register()
    const task = await giveTask(db, { tenantId: tenant.id, ...body })
    const operator = registry.caller()
    expect((await operator.call('DELETE', `/v1/agents/${body.id}`)).status).toBe(204)
    expect((await operator.call('DELETE', `/v1/agents/${body.id}`)).status).toBe(404)
    expect((await operator.call('GET', `/v1/agents/${body.id}/card`)).status).toBe(404)
    expect((await operator.call<{ items: Agent[] }>('GET', '/v1/agents')).body.items).toEqual([])
    expect((await one.beat(body.id, { incarnation: 1, seq: 1 })).body).toMatchObject({ code: 'fenced' })
    expect(await leaseLeftMs(db, task.taskId)).toBeLessThanOrEqual(0)
    expect((await eventsOf(db, tenant.id)).slice(2).map((event) => event.type)).toEqual([
      'agent.stopped',
      'agent.stopped',
      'agent.deregistered',
    ])
  })
})

// An agent acts only for itself: what one agent's token can do must not hurt another agent.
test('a client that agents use changes no agent of others, whatever instance name it takes', async ({ registry }) => {
  const { body: victim } = await registry.caller().register(card('victim'))
  const client = newId()
  await registry.caller({ subject: `${client}/one` }).register(card('intruder'))
  for (const subject of [client, `${client}/one`, `${client}/fresh`]) {
    const intruder = registry.caller({ subject })
    for (const [method, url, body] of [
      ['PATCH', `/v1/agents/${victim.id}`, { labels: {} }],
      ['DELETE', `/v1/agents/${victim.id}`, undefined],
      ['POST', `/v1/agents/${victim.id}:drain`, undefined],
      ['DELETE', `/v1/agents/${victim.id}/instances/${victim.instanceId}`, undefined],
    ] as const) {
      expect(await intruder.call(method, url, body)).toMatchObject({ status: 403, body: { code: 'not_your_agent' } })
    }
  }
  const own = registry.caller({ subject: `${client}/two` })
  const mine = await registry.caller({ subject: `${client}/one` }).register(card('intruder'))
  expect((await own.call('POST', `/v1/agents/${mine.body.id}:drain`)).status).toBe(200)
  const administrator = registry.caller({ subject: `${client}/three`, scopes: ['agent:write', 'token:issue'] })
  expect((await administrator.call('DELETE', `/v1/agents/${victim.id}`)).status).toBe(204)
})
