import { openDatabase } from '@hypercode/db'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { DEREGISTER_MS, LEASE_MS, eventsOf, giveTask, leaseLeftMs, silence, test } from './registry.ts'
import { healthOf, makeInstances, sweeperOf } from './sweeping.ts'

test('silence leads to warning, then critical, then reaped: each move once, each with an event', async ({
  registry,
  db,
  tenant,
}) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  await agent.beat(body.id, { incarnation: 1, seq: 1 })
  const task = await giveTask(db, { tenantId: tenant.id, ...body })
  const sweeper = await sweeperOf(db)
  const { instanceId } = body

  await sweeper.turn()
  expect(await healthOf(db, [instanceId])).toEqual(['passing ready'])
  await silence(db, [instanceId], 9000)
  for (let turn = 0; turn < 3; turn += 1) await sweeper.turn()
  expect(await healthOf(db, [instanceId])).toEqual(['warning ready'])
  await silence(db, [instanceId], 6100)
  for (let turn = 0; turn < 3; turn += 1) await sweeper.turn()
  expect(await healthOf(db, [instanceId])).toEqual(['critical unhealthy'])
  expect((await agent.read(body.id)).health).toBe('critical')
  await silence(db, [instanceId], DEREGISTER_MS)
  for (let turn = 0; turn < 3; turn += 1) await sweeper.turn()
  expect(await healthOf(db, [instanceId])).toEqual(['critical reaped'])
  expect((await agent.read(body.id)).health).toBe('unknown')

  const events = (await eventsOf(db, tenant.id)).slice(2)
  expect(events).toMatchObject([
    { type: 'agent.health.changed', body: { from: 'passing', to: 'warning', lifecycle: 'ready' } },
    { type: 'agent.health.changed', body: { from: 'warning', to: 'critical', lifecycle: 'unhealthy' } },
    { type: 'agent.deregistered', instance_id: instanceId, body: { from: 'unhealthy', lifecycle: 'reaped' } },
  ])
  expect(events[0]?.body['reason']).toMatch(/^no beat for 9\.\d s$/)
  expect(events[0]?.body['silentMs']).toBeGreaterThan(8999)
  const audit = await db.selectFrom('audit').select(['actor', 'action']).where('actor', '=', 'system').execute()
  expect(audit).toEqual([{ actor: 'system', action: 'agent.reaped' }])
  // The sweep of the registry never touches a task.
  expect(await leaseLeftMs(db, task.taskId)).toBeGreaterThan(0)
  expect(await db.selectFrom('outbox').selectAll().execute()).not.toEqual([])
})

// Goal: a spare is never made ready by its own silence and return, and one that is gone does not stay for ever.
test('a warming instance that falls silent is warming when it comes back, and reaped when it does not', async ({
  registry,
  db,
}) => {
  const agent = registry.caller()
  const { id, instanceId } = (await agent.register()).body
  await agent.beat(id, { incarnation: 1, seq: 1 })
  await db.updateTable('agent_instances').set({ lifecycle: 'warming' }).where('id', '=', instanceId).execute()
  const sweeper = await sweeperOf(db)
  const silentFor = async (ms: number): Promise<string[]> => {
    await silence(db, [instanceId], ms)
    for (let turn = 0; turn < 3; turn += 1) await sweeper.turn()
    return await healthOf(db, [instanceId])
  }
  expect(await silentFor(LEASE_MS + 100)).toEqual(['critical warming'])
  await agent.beat(id, { incarnation: 1, seq: 2 })
  expect(await healthOf(db, [instanceId])).toEqual(['passing warming'])
  expect(await silentFor(LEASE_MS + 100)).toEqual(['critical warming'])
  expect(await silentFor(DEREGISTER_MS)).toEqual(['critical reaped'])
})

test('what never beat stays unknown, and turns critical when its lease runs out', async ({ registry, db, tenant }) => {
  const { body } = await registry.caller().register()
  const sweeper = await sweeperOf(db)
  await silence(db, [body.instanceId], 14_000)
  await sweeper.turn()
  expect(await healthOf(db, [body.instanceId])).toEqual(['unknown ready'])
  await silence(db, [body.instanceId], 1100)
  await sweeper.turn()
  expect(await healthOf(db, [body.instanceId])).toEqual(['critical unhealthy'])
  expect((await eventsOf(db, tenant.id)).slice(1)).toMatchObject([{ body: { from: 'unknown', to: 'critical' } }])
})

test('a draining instance that falls silent is reaped too; one that left is not touched', async ({ registry, db }) => {
  const [one, two] = [registry.caller(), registry.caller()]
  const { body: draining } = await one.register()
  const { body: stopped } = await two.register()
  await one.beat(draining.id, { incarnation: 1, seq: 1 })
  await one.call('POST', `/v1/agents/${draining.id}:drain`, { instanceId: draining.instanceId })
  await two.call('DELETE', `/v1/agents/${stopped.id}/instances/${stopped.instanceId}`)
  const sweeper = await sweeperOf(db)
  await silence(db, [draining.instanceId, stopped.instanceId], DEREGISTER_MS + LEASE_MS + 1000)
  await sweeper.turn()
  expect(await healthOf(db, [draining.instanceId])).toEqual(['critical draining'])
  await sweeper.turn()
  expect(await healthOf(db, [draining.instanceId])).toEqual(['critical reaped'])
  expect(await healthOf(db, [stopped.instanceId])).toEqual(['unknown stopped'])
})

test('a jump over both limits is told as two moves', async ({ db, tenant }) => {
  const ids = await makeInstances(db, tenant.id, 1)
  const sweeper = await sweeperOf(db)
  await silence(db, ids, 20_000)
  await sweeper.turn()
  expect((await eventsOf(db, tenant.id)).map(({ body }) => [body['from'], body['to'], body['lifecycle']])).toEqual([
    ['passing', 'warning', 'ready'],
    ['warning', 'critical', 'unhealthy'],
  ])
})

// Goal: however many replicas sweep, every move happens once and the numbers of events have no gap.
test('two replicas sweep at once: each of 500 instances of two tenants moves exactly once', async ({
  db,
  database,
  tenant,
  secondTenant,
}) => {
  const ids = [
    ...(await makeInstances(db, tenant.id, 300)),
    ...(await makeInstances(db, secondTenant.id, 200)),
    ...(await makeInstances(db, tenant.id, 1500)),
  ]
  const other = openDatabase({
    url: database.url,
    poolMax: 2,
    applicationName: 'second replica',
    onIdleError: () => undefined,
  })
  try {
    const sweepers = [await sweeperOf(db), await sweeperOf(other.db)]
    const silent = ids.slice(0, 500)
    await silence(db, silent, 16_000)
    await Promise.all([1, 2, 3].flatMap(() => sweepers.map(async (sweeper) => await sweeper.turn())))
    expect(await healthOf(db, silent)).toEqual(['critical unhealthy'])
    expect(await healthOf(db, ids.slice(500))).toEqual(['passing ready'])
    const events = [...(await eventsOf(db, tenant.id)), ...(await eventsOf(db, secondTenant.id))]
    expect(events.length).toBe(1000)
    const moves = new Set(events.map((event) => `${event.instance_id} ${String(event.body['to'])}`))
    expect(moves.size).toBe(1000)
  } finally {
    await other.close()
  }
})

test('a beat that comes in between wins: it is never declared critical with a lease in the future', async ({
  registry,
  db,
}) => {
  const agents = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const caller = registry.caller()
      return { caller, body: (await caller.register()).body }
    }),
  )
  const idle = await makeInstances(db, agents[0]?.caller.tenantId ?? '', 200)
  const sweeper = await sweeperOf(db)
  for (let round = 1; round <= 5; round += 1) {
    await silence(
      db,
      agents.map(({ body }) => body.instanceId),
      20_000,
    )
    await Promise.all([
      ...agents.map(async ({ caller, body }) => await caller.beat(body.id, { incarnation: 1, seq: round })),
      sweeper.turn(),
      sweeper.turn(),
    ])
    const wrong =
      await sql`select 1 from agent_instances where lifecycle = 'unhealthy' and lease_expires_at > now()`.execute(db)
    expect(wrong.rows.length).toBe(0)
    expect(
      await healthOf(
        db,
        agents.map(({ body }) => body.instanceId),
      ),
    ).toEqual(['passing ready'])
  }
  expect(await healthOf(db, idle)).toEqual(['passing ready'])
})

test('the gauges tell how many live instances there are of each health', async ({ db, tenant }) => {
  await makeInstances(db, tenant.id, 7)
  const sweeper = await sweeperOf(db)
  const ids = await makeInstances(db, tenant.id, 20)
  await silence(db, ids.slice(0, 2), 9000)
  await silence(db, ids.slice(2, 5), 16_000)
  for (let turn = 0; turn < 2; turn += 1) await sweeper.turn()
  const gauges = await sweeper.metric('hypercode_registry_instances')
  for (const [health, count] of [
    ['passing', 22],
    ['warning', 2],
    ['critical', 3],
    ['unknown', 0],
  ] as const) {
    expect(gauges).toContainEqual(expect.stringMatching(new RegExp(`health="${health}".* ${count}$`)))
  }
})
