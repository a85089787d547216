import { newId } from '@hypercode/contracts'
import type { HeartbeatAnswer } from '@hypercode/contracts'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { card, eventsOf, giveTask, leaseLeftMs, silence, test } from './registry.ts'

test('a beat renews the instance and is answered with its lease and lifecycle', async ({ registry, db, tenant }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  await silence(db, [body.instanceId], 7000)
  const answer = await agent.beat(body.id, { incarnation: 1, seq: 1 })
  expect(answer).toMatchObject({ status: 200, body: { leaseMs: 15_000, lifecycle: 'ready', canceled: [], lost: [] } })
  const { health, instances } = await agent.read(body.id)
  expect(health).toBe('passing')
  expect(instances[0]?.lastHeartbeatAt).toBeDefined()
  expect(await eventsOf(db, tenant.id)).toMatchObject([
    { type: 'agent.registered' },
    {
      type: 'agent.health.changed',
      instance_id: body.instanceId,
      body: { from: 'unknown', to: 'passing', reason: 'its first beat', lifecycle: 'ready', incarnation: 1 },
    },
  ])
})

test('a beat that changes nothing about health writes no event', async ({ registry, db, tenant }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  for (const seq of [1, 2, 3]) await agent.beat(body.id, { incarnation: 1, seq })
  expect((await eventsOf(db, tenant.id)).length).toBe(2)
})

test('a beat brings an instance back, over every step of the table', async ({ registry, db, tenant }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  await agent.beat(body.id, { incarnation: 1, seq: 1 })
  await sql`update agent_instances set health = 'critical', lifecycle = 'unhealthy'`.execute(db)
  const answer = await agent.beat(body.id, { incarnation: 1, seq: 2 })
  expect(answer.body.lifecycle).toBe('ready')
  expect((await eventsOf(db, tenant.id)).slice(2).map((event) => event.body)).toMatchObject([
    { from: 'critical', to: 'warning', lifecycle: 'unhealthy' },
    { from: 'warning', to: 'passing', lifecycle: 'ready', reason: 'it beats again' },
  ])
})

test('only the instance of the token can beat: 403 for another agent, 404 for none and for those of others', async ({
  registry,
  secondTenant,
}) => {
  const [agent, other] = [registry.caller(), registry.caller()]
  const { body: mine } = await agent.register(card('coder'))
  const { body: theirs } = await other.register(card('reviewer'))
  const foreign = await registry.caller({ tenantId: secondTenant.id }).register()
  const beat = { incarnation: 1, seq: 1 }
  expect((await agent.beat(theirs.id, beat)).body).toMatchObject({ code: 'not_your_agent', status: 403 })
  expect((await agent.beat(newId(), beat)).body).toMatchObject({ code: 'not_found' })
  expect((await agent.beat(foreign.body.id, beat)).body).toMatchObject({ code: 'not_found' })
  const stranger = registry.caller()
  expect((await stranger.beat(mine.id, beat)).body).toMatchObject({ code: 'not_your_agent' })
  expect((await stranger.beat(newId(), beat)).body).toMatchObject({ code: 'not_found' })
  expect((await agent.read(theirs.id)).instances[0]?.lastHeartbeatAt).toBeUndefined()
  // A beat of the same subject in another tenant is one of nobody.
  const twin = registry.caller({ tenantId: secondTenant.id, subject: agent.subject })
  expect((await twin.beat(mine.id, beat)).body).toMatchObject({ code: 'not_found' })
})

test('two instances of one agent beat for themselves alone', async ({ registry, db }) => {
  const [one, two] = [registry.caller(), registry.caller()]
  const { body: a } = await one.register()
  const { body: b } = await two.register()
  await one.beat(a.id, { incarnation: 1, seq: 1 })
  const beaten = await db.selectFrom('agent_instances').select('id').where('heartbeat_seq', '=', 1).execute()
  expect(beaten).toEqual([{ id: a.instanceId }])
  expect(b.id).toBe(a.id)
})

test('the alias beats for whoever the token is, and refuses the agent of another', async ({ registry }) => {
  const [agent, other] = [registry.caller(), registry.caller()]
  const alias = async (caller: typeof agent, body: object) =>
    await caller.call<HeartbeatAnswer & { code: string }>('POST', '/agents/heartbeat', body)
  expect((await alias(agent, { incarnation: 1, seq: 1 })).body.code).toBe('not_found')
  const { body } = await agent.register()
  const { body: theirs } = await other.register(card('reviewer'))
  expect(await alias(agent, { incarnation: 1, seq: 1 })).toMatchObject({ status: 200, body: { leaseMs: 15_000 } })
  expect((await alias(agent, { incarnation: 1, seq: 2, agentId: body.id })).status).toBe(200)
  expect((await alias(agent, { incarnation: 1, seq: 3, agentId: theirs.id })).body.code).toBe('not_your_agent')
  expect((await alias(agent, { incarnation: 1, seq: 3, agentId: newId() })).body.code).toBe('not_found')
})

test('an older incarnation is fenced and renews nothing', async ({ registry, db, tenant }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  await agent.register()
  const task = await giveTask(db, { tenantId: tenant.id, instanceId: body.instanceId, incarnation: 2 })
  const before = await agent.read(body.id)
  const answer = await agent.beat(body.id, { incarnation: 1, seq: 99, tasks: [{ taskId: task.taskId, attempt: 1 }] })
  expect(answer).toMatchObject({ status: 409, body: { code: 'fenced' } })
  expect((await agent.read(body.id)).instances).toMatchObject([{ ...before.instances[0], health: 'unknown' }])
  expect(await leaseLeftMs(db, task.taskId)).toBeLessThan(5001)
  expect((await agent.beat(body.id, { incarnation: 3, seq: 1 })).body).toMatchObject({ code: 'fenced' })
  expect((await agent.beat(body.id, { incarnation: 2, seq: 1 })).status).toBe(200)
})

test('a stopped instance is fenced until it registers again', async ({ registry }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  expect((await agent.call('DELETE', `/v1/agents/${body.id}/instances/${body.instanceId}`)).status).toBe(204)
  expect((await agent.beat(body.id, { incarnation: 1, seq: 1 })).body).toMatchObject({ code: 'fenced' })
  const { body: again } = await agent.register()
  expect((await agent.beat(body.id, { incarnation: again.incarnation, seq: 1 })).status).toBe(200)
})

test('a beat that is not as it should be is refused', async ({ registry }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  for (const beat of [
    {},
    { incarnation: 1 },
    { incarnation: '1', seq: 1 },
    { incarnation: 1, seq: 1.5 },
    { incarnation: 1, seq: 1, health: 'passing' },
  ]) {
    expect((await agent.beat(body.id, beat)).status).toBe(400)
  }
  expect((await agent.beat('not-an-id', { incarnation: 1, seq: 1 })).status).toBe(400)
})
