import { newId } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { createFaultProxy, waitFor } from '@hypercode/testkit'
import { isConnectionError, openDatabase } from '@hypercode/db'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { missedAfterMs } from '../src/domain/health.ts'
import { createSweeper } from '../src/jobs/sweeper.ts'
import type { Sweeper } from '../src/jobs/sweeper.ts'
import { registryMetrics } from '../src/metrics.ts'
import { DEREGISTER_MS, HEARTBEAT_MS, LEASE_MS, eventsOf, giveTask, leaseLeftMs, silence, test } from './registry.ts'

interface TestSweeper extends Sweeper {
  /** Lets the clock of the process go on. */
  wait(ms: number): void
  metric(name: string): Promise<string[]>
}

/** A sweeper with a clock of its own that has the brake of the start behind it. */
async function sweeperOf(db: Db): Promise<TestSweeper> {
  let nowMs = 0
  const metrics = createMetrics('agent-registry', { processMetrics: false })
  const sweeper = createSweeper({
    db,
    publish: () => undefined,
    log: createLogger({ service: 'agent-registry', level: 'silent' }),
    metrics: registryMetrics(metrics),
    leaseMs: LEASE_MS,
    limits: { missedAfterMs: missedAfterMs(HEARTBEAT_MS), deregisterAfterMs: DEREGISTER_MS },
    clock: () => nowMs,
  })
  const wait = (ms: number): void => void (nowMs += ms)
  for (let turn = 0; turn < LEASE_MS / 1000 + 1; turn += 1) {
    await sweeper.turn()
    wait(1000)
  }
  return {
    turn: async (signal) => await sweeper.turn(signal),
    get brakeHolds() {
      return sweeper.brakeHolds
    },
    wait,
    metric: async (name) => (await metrics.render()).split('\n').filter((line) => line.startsWith(name)),
  }
}

/** An agent with so many instances that have just beaten. */
async function makeInstances(db: Db, tenantId: string, count: number): Promise<string[]> {
  const agentId = newId()
  await sql`insert into agents (id, tenant_id, name, version, skills, skill_ids)
    values (${agentId}, ${tenantId}, ${`crowd-${agentId}`}, '1', '[]', '{}')`.execute(db)
  const ids = Array.from({ length: count }, newId)
  await sql`insert into agent_instances (id, tenant_id, agent_id, subject, version, skills, slots, lifecycle, health, incarnation,
      heartbeat_seq, registered_at, last_heartbeat_at, lease_expires_at)
    select id, ${tenantId}, ${agentId}, id::text, '1', '{}', 1, 'ready', 'passing', 1, 1, now() - interval '1 hour', now(),
      now() + ${LEASE_MS} * interval '1 millisecond' from unnest(${ids}::uuid[]) as i (id)`.execute(db)
  return ids
}

async function healthOf(db: Db, ids: readonly string[]): Promise<string[]> {
  const rows = await db.selectFrom('agent_instances').select(['health', 'lifecycle']).where('id', 'in', ids).execute()
  return [...new Set(rows.map((row) => `${row.health} ${row.lifecycle}`))].sort()
}

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

test('at the start nobody is declared critical for one lease time', async ({ db, tenant, registry }) => {
  const ids = await makeInstances(db, tenant.id, 3)
  await silence(db, ids, 60_000)
  await registry.sweeper.turn()
  expect(registry.sweeper.brakeHolds).toBe(true)
  expect(await healthOf(db, ids)).toEqual(['warning ready'])
})

test('after a pause of its own it holds for one lease time, and whoever beats in it stays alive', async ({
  registry,
  db,
  tenant,
}) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  await agent.beat(body.id, { incarnation: 1, seq: 1 })
  const [dead = ''] = await makeInstances(db, tenant.id, 1)
  const sweeper = await sweeperOf(db)
  await silence(db, [body.instanceId, dead], 60_000)
  sweeper.wait(60_000)
  await sweeper.turn()
  expect(sweeper.brakeHolds).toBe(true)
  expect(await sweeper.metric('hypercode_registry_brake{')).toContainEqual(expect.stringMatching(/reason="pause".* 1$/))
  expect(await healthOf(db, [body.instanceId, dead])).toEqual(['warning ready'])
  await agent.beat(body.id, { incarnation: 1, seq: 2 })
  for (let second = 0; second < 15; second += 1) {
    sweeper.wait(1000)
    await sweeper.turn()
  }
  expect(sweeper.brakeHolds).toBe(false)
  expect(await healthOf(db, [body.instanceId])).toEqual(['passing ready'])
  expect(await healthOf(db, [dead])).toEqual(['critical unhealthy'])
  const told = (await eventsOf(db, tenant.id)).filter((event) => event.instance_id === body.instanceId)
  expect(told.map((event) => event.body['to'])).not.toContain('critical')
})

test('a storm holds it twice and then goes on; nobody is spared for ever', async ({ db, tenant }) => {
  const ids = await makeInstances(db, tenant.id, 20)
  const sweeper = await sweeperOf(db)
  const silent = ids.slice(0, 10)
  await silence(db, silent, 16_000)
  let turns = 0
  do {
    await sweeper.turn()
    turns += 1
    sweeper.wait(1000)
    if (turns === 5) expect(await healthOf(db, silent)).toEqual(['warning ready'])
  } while (sweeper.brakeHolds && turns < 100)
  expect(turns).toBe(31)
  expect(await healthOf(db, silent)).toEqual(['critical unhealthy'])
  expect(await sweeper.metric('hypercode_registry_brake_holds_total')).toContainEqual(
    expect.stringMatching(/reason="storm".* 2$/),
  )
  sweeper.wait(1000)
  await sweeper.turn()
  expect(sweeper.brakeHolds).toBe(false)
})

test('9 of 9 that fall silent, or 30 of 100, are no storm', async ({ db, tenant }) => {
  const few = await makeInstances(db, tenant.id, 9)
  const sweeper = await sweeperOf(db)
  await silence(db, few, 16_000)
  await sweeper.turn()
  expect(await healthOf(db, few)).toEqual(['critical unhealthy'])
  const many = await makeInstances(db, tenant.id, 100)
  await silence(db, many.slice(0, 30), 16_000)
  await sweeper.turn()
  expect(await healthOf(db, many.slice(0, 30))).toEqual(['critical unhealthy'])
})

test('after the database was away it holds for one lease time', async ({ db, database, tenant }) => {
  const proxy = await createFaultProxy(database.url)
  const handle = openDatabase({
    url: proxy.through(database.url),
    poolMax: 1,
    applicationName: 'through a proxy',
    onIdleError: () => undefined,
    connectTimeoutMs: 300,
    queryTimeoutMs: 300,
  })
  try {
    const ids = await makeInstances(db, tenant.id, 2)
    const sweeper = await sweeperOf(handle.db)
    await silence(db, ids, 16_000)
    await proxy.setMode('refuse')
    await expect(sweeper.turn()).rejects.toSatisfy(isConnectionError)
    sweeper.wait(1000)
    await proxy.setMode('pass')
    await waitFor(
      async () => {
        await sweeper.turn()
        return true
      },
      { what: 'a sweep that reaches the database' },
    )
    expect(sweeper.brakeHolds).toBe(true)
    expect(await healthOf(db, ids)).toEqual(['warning ready'])
    for (let second = 0; second < 16; second += 1) {
      sweeper.wait(1000)
      await sweeper.turn()
    }
    expect(await healthOf(db, ids)).toEqual(['critical unhealthy'])
  } finally {
    await handle.close()
    await proxy.stop()
  }
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
