import { AGENT_SCOPES, newId } from '@hypercode/contracts'
import type { Registration } from '@hypercode/contracts'
import { signTestToken } from '@hypercode/testkit'
import { parseHints } from '@hypercode/events'
import { waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { card, eventsOf, giveTask, leaseLeftMs, silence, test } from './registry.ts'

test('the first registration makes agent and instance, the next one is a new incarnation', async ({
  registry,
  db,
  tenant,
}) => {
  const agent = registry.caller()
  const first = await agent.register()
  expect(first.status).toBe(201)
  expect(first.body).toMatchObject({ incarnation: 1, leaseMs: 15_000, heartbeatMs: 5000 })
  expect(first.headers['location']).toBe(`/v1/agents/${first.body.id}`)
  const again = await agent.register()
  expect(again.status).toBe(200)
  expect(again.body).toEqual({ ...first.body, incarnation: 2 })
  const read = await agent.read(first.body.id)
  expect(read).toMatchObject({ name: 'coder', health: 'unknown', labels: {} })
  const instance = { id: first.body.instanceId, lifecycle: 'ready', health: 'unknown', incarnation: 2, slots: 1 }
  expect(read.instances).toMatchObject([{ ...instance, subject: agent.subject, slotsUsed: 0 }])
  const events = await eventsOf(db, tenant.id)
  expect(events).toMatchObject([
    { type: 'agent.registered', instance_id: instance.id, body: { incarnation: 1 } },
    { type: 'agent.registered', instance_id: instance.id, body: { incarnation: 2, before: { health: 'unknown' } } },
  ])
  const audit = await db.selectFrom('audit').select(['actor', 'action', 'ref']).orderBy('id').execute()
  expect(audit).toEqual(Array(2).fill({ actor: agent.subject, action: 'agent.registered', ref: first.body.id }))
})

test('the hint of a registration reaches the stream with the number of its event', async ({
  registry,
  redis,
  keys,
  tenant,
  db,
}) => {
  await registry.caller().register()
  const entries = await waitFor(async () => await redis.xrange(keys.events, '-', '+'), { what: 'a hint' })
  expect(entries.flatMap(([, fields]) => parseHints(fields[1]))).toEqual([
    { kind: 'agents', tenantId: tenant.id, seq: 1 },
  ])
  await waitFor(async () => (await db.selectFrom('outbox').selectAll().execute()).length === 0, {
    what: 'an empty outbox',
  })
})

test('the alias registers too, and both need the same scope', async ({ registry }) => {
  const agent = registry.caller()
  const answer = await agent.call<Registration>('POST', '/agents/register', card())
  expect(answer.status).toBe(201)
  const reader = registry.caller({ scopes: ['agent:read'] })
  for (const url of ['/v1/agents', '/agents/register']) {
    expect(await reader.call('POST', url, card())).toMatchObject({ status: 403, body: { code: 'insufficient_scope' } })
  }
})

test('a registration ends the task leases of the incarnation before, and no others', async ({
  registry,
  db,
  tenant,
}) => {
  const [agent, other] = [registry.caller(), registry.caller()]
  const { body: first } = await agent.register()
  const { body: bystander } = await other.register()
  const mine = await giveTask(db, { tenantId: tenant.id, ...first })
  const theirs = await giveTask(db, { tenantId: tenant.id, ...bystander })
  await agent.register()
  expect(await leaseLeftMs(db, mine.taskId)).toBeLessThanOrEqual(0)
  expect(await leaseLeftMs(db, theirs.taskId)).toBeGreaterThan(1000)
  const task = await db.selectFrom('tasks').selectAll().where('id', '=', mine.taskId).executeTakeFirstOrThrow()
  expect(task).toMatchObject({ state: 'executing', lease_owner: first.instanceId, attempt: 1 })
})

test('an offline agent that registers again is back at once', async ({ registry, db }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  await silence(db, [body.instanceId], 4_000_000)
  for (let turn = 0; turn < 2; turn += 1) await registry.sweeper.turn()
  await sql`update agent_instances set lifecycle = 'reaped', health = 'critical'`.execute(db)
  expect((await agent.beat(body.id, { incarnation: 1, seq: 1 })).body).toMatchObject({ code: 'fenced' })
  expect((await agent.register()).body).toEqual({ ...body, incarnation: 2 })
  const { instances } = await agent.read(body.id)
  expect(instances).toMatchObject([{ lifecycle: 'ready', health: 'unknown' }])
  expect(new Date(instances[0]?.leaseExpiresAt ?? 0).getTime()).toBeGreaterThan(Date.now() + 5000)
  expect((await agent.beat(body.id, { incarnation: 2, seq: 1 })).status).toBe(200)
})

test('two instances of one agent are two instances, and the latest card is the card of the agent', async ({
  registry,
}) => {
  const client = newId()
  const [one, two] = [registry.caller({ subject: `${client}/one` }), registry.caller({ subject: `${client}/two` })]
  const { body: a } = await one.register(card('coder', { description: 'writes code', labels: { team: 'core' } }))
  const { body: b } = await two.register(card('coder', { version: '2.0.0', skills: [{ id: 'code.review' }] }))
  expect(b.id).toBe(a.id)
  expect(b.instanceId).not.toBe(a.instanceId)
  const read = await one.read(a.id)
  expect(read).toMatchObject({
    version: '2.0.0',
    skills: [{ id: 'code.review' }],
    description: 'writes code',
    labels: { team: 'core' },
    etag: '"2"',
  })
  const versions = read.instances.map((instance) => [instance.subject, instance.version])
  expect(Object.fromEntries(versions)).toEqual({ [`${client}/one`]: '1.0.0', [`${client}/two`]: '2.0.0' })
})

test('claims see the skills of the instance, not those of the agent', async ({ registry, db }) => {
  const { body: a } = await registry.caller().register(card('coder', { skills: [{ id: 'a' }, { id: 'b' }] }))
  await registry.caller().register(card('coder', { skills: [{ id: 'c' }] }))
  const row = await db.selectFrom('agent_instances').select('skills').where('id', '=', a.instanceId).executeTakeFirst()
  expect(row?.skills).toEqual(['a', 'b'])
})

// Take-over: neither a name nor a subject is ever handed to somebody else.
test('a subject cannot take another name, and a name in another tenant is another agent', async ({
  registry,
  secondTenant,
}) => {
  const agent = registry.caller()
  const { body: first } = await agent.register(card('coder'))
  const refused = await agent.register(card('reviewer'))
  expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } })
  expect(JSON.stringify(refused.body)).toContain('coder')
  const elsewhere = registry.caller({ tenantId: secondTenant.id, subject: agent.subject })
  const { status, body } = await elsewhere.register(card('coder'))
  expect(status).toBe(201)
  expect(body.id).not.toBe(first.id)
  expect(body.instanceId).not.toBe(first.instanceId)
  // The refusal has changed nothing.
  expect((await agent.beat(first.id, { incarnation: 1, seq: 1 })).status).toBe(200)
})

test('the same name from another subject takes nothing over', async ({ registry }) => {
  const [agent, intruder] = [registry.caller(), registry.caller()]
  const { body: first } = await agent.register()
  const { body: second } = await intruder.register()
  expect(second.instanceId).not.toBe(first.instanceId)
  expect((await agent.beat(first.id, { incarnation: 1, seq: 1 })).status).toBe(200)
  const read = await agent.read(first.id)
  expect(read.instances.find((one) => one.id === first.instanceId)?.subject).toBe(agent.subject)
})

// Goal: however many registrations of one subject meet, there is one instance and each is an incarnation of its own.
// Method: 50 at once over two replicas.
test('50 registrations of one subject at once make one instance with incarnations 1 to 50', async ({
  startRegistry,
  db,
  tenant,
}) => {
  const replicas = await Promise.all([startRegistry(), startRegistry()])
  const subject = newId()
  const answers = await Promise.all(
    Array.from({ length: 50 }, async (_, n) => await (replicas[n % 2] ?? replicas[0]).caller({ subject }).register()),
  )
  expect(answers.filter((answer) => answer.status === 201).length).toBe(1)
  expect(answers.filter((answer) => answer.status === 200).length).toBe(49)
  const incarnations = answers.map((answer) => answer.body.incarnation).sort((a, b) => a - b)
  expect(incarnations).toEqual(Array.from({ length: 50 }, (_, n) => n + 1))
  expect(new Set(answers.map((answer) => answer.body.instanceId)).size).toBe(1)
  expect((await eventsOf(db, tenant.id)).map((event) => event.body['incarnation'])).toEqual(
    Array.from({ length: 50 }, (_, n) => n + 1),
  )
})

test('200 subjects of two tenants at once over two replicas: one agent per name, events dense in each tenant', async ({
  startRegistry,
  db,
  tenant,
  secondTenant,
}) => {
  const replicas = await Promise.all([startRegistry(), startRegistry()])
  const tenants = [tenant.id, secondTenant.id]
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      const registry = replicas[n % 2] ?? replicas[0]
      const tenantId = tenants[Math.floor(n / 2) % 2] ?? tenant.id
      return await registry.caller({ tenantId }).register(card(`agent-${n % 8}`))
    }),
  )
  expect(answers.map((answer) => answer.status)).toEqual(Array(200).fill(201))
  for (const tenantId of tenants) expect((await eventsOf(db, tenantId)).length).toBe(100)
  const agents = await db.selectFrom('agents').select(['tenant_id', 'name']).execute()
  expect(new Set(agents.map((agent) => `${agent.tenant_id} ${agent.name}`)).size).toBe(agents.length)
})

test('one bad registration harms no other of its batch', async ({ registry }) => {
  const bound = registry.caller()
  await bound.register(card('first'))
  const nobody = registry.caller({ tenantId: newId() })
  const [refused, unknown, fine] = await Promise.all([
    bound.register(card('second')),
    nobody.register(),
    registry.caller().register(),
  ])
  expect(refused.body).toMatchObject({ code: 'conflict' })
  expect(unknown.body).toMatchObject({ code: 'unprocessable' })
  expect(fine.status).toBe(201)
})

test('a quarantined instance stays where it is', async ({ registry, db }) => {
  const agent = registry.caller()
  await agent.register()
  await sql`update agent_instances set lifecycle = 'quarantined'`.execute(db)
  expect(await agent.register()).toMatchObject({ status: 409, body: { code: 'conflict' } })
})

test('a deleted agent that registers again comes back under its id, whole', async ({ registry }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  expect((await agent.call('DELETE', `/v1/agents/${body.id}`)).status).toBe(204)
  expect((await agent.call('GET', `/v1/agents/${body.id}`)).status).toBe(404)
  expect((await agent.register()).body).toMatchObject({ id: body.id, instanceId: body.instanceId, incarnation: 2 })
  expect((await agent.read(body.id)).name).toBe('coder')
})

test('a card that is not as it should be is refused with the place of its fault', async ({ registry }) => {
  const agent = registry.caller()
  const faulty: [card: object, pointer: string][] = [
    [card('coder', { skills: [] }), '/skills'],
    [card('coder', { skills: [{ id: 'a' }, { id: 'a' }] }), '/skills/1/id'],
    [card('the coder'), '/name'],
    [card('coder', { health: 'passing' }), '/health'],
    [card('coder', { id: newId() }), '/id'],
    [card('coder', { tenantId: newId() }), '/tenantId'],
    [card('coder', { slots: '4' }), '/slots'],
    [card('coder', { slots: 0 }), '/slots'],
  ]
  for (const [body, pointer] of faulty) {
    const answer = await agent.call<{ faults: { pointer: string }[] }>('POST', '/v1/agents', body)
    expect(answer, pointer).toMatchObject({ status: 400, body: { code: 'request_invalid' } })
    expect(answer.body.faults.map((fault) => fault.pointer)).toContain(pointer)
  }
})

test('nobody registers without a good token', async ({ registry, tenant }) => {
  const without = await registry.app.inject({ method: 'POST', url: '/v1/agents', payload: card() })
  expect([without.statusCode, without.json().code]).toEqual([401, 'token_missing'])
  const expired = signTestToken({ tenantId: tenant.id, scopes: AGENT_SCOPES, ttlS: -10 })
  const late = await registry.app.inject({
    method: 'POST',
    url: '/v1/agents',
    payload: card(),
    headers: { authorization: `Bearer ${expired}` },
  })
  expect([late.statusCode, late.json().code]).toEqual([401, 'token_invalid'])
})
