import { newId } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { waitFor } from '@hypercode/testkit'
import fc from 'fast-check'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { card, eventsOf, giveTask, leaseLeftMs, makeMission, silence, test } from './registry.ts'

test('a task row that somebody is just changing is passed over, and renewed by the next beat', async ({
  registry,
  db,
  tenant,
}) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  const task = await giveTask(db, { tenantId: tenant.id, ...body })
  await db.transaction().execute(async (trx) => {
    await sql`select 1 from tasks where id = ${task.taskId} for update`.execute(trx)
    const answer = await agent.beat(body.id, { incarnation: 1, seq: 1 })
    expect(answer.status).toBe(200)
  })
  expect(await leaseLeftMs(db, task.taskId)).toBeLessThan(5001)
  await agent.beat(body.id, { incarnation: 1, seq: 2 })
  expect(await leaseLeftMs(db, task.taskId)).toBeGreaterThan(14_000)
})

test('an instance whose row is stuck delays the beats of nobody else', async ({ registry, db }) => {
  const [stuck, ...others] = Array.from({ length: 10 }, () => registry.caller())
  if (stuck === undefined) throw new Error('no caller')
  const { body } = await stuck.register()
  const bodies = await Promise.all(others.map(async (other) => (await other.register()).body))
  let late: Promise<{ status: number }> | undefined
  await db.transaction().execute(async (trx) => {
    await sql`select 1 from agent_instances where id = ${body.instanceId} for update`.execute(trx)
    late = stuck.beat(body.id, { incarnation: 1, seq: 1 })
    const answers = await Promise.all(
      others.map(async (other, n) => await other.beat(bodies[n]?.id ?? '', { incarnation: 1, seq: 1 })),
    )
    expect(answers.map((answer) => answer.status)).toEqual(Array(9).fill(200))
  })
  expect((await late)?.status).toBe(200)
})

test('a change of health that has to wait delays the beats of nobody else', async ({ registry, db }) => {
  const [well, unwell] = [registry.caller(), registry.caller()]
  const { body } = await well.register()
  await unwell.register()
  await well.beat(body.id, { incarnation: 1, seq: 1 })
  let late: Promise<{ status: number }> | undefined
  await db.transaction().execute(async (trx) => {
    await sql`select 1 from agent_event_heads for update`.execute(trx)
    late = unwell.beat(body.id, { incarnation: 1, seq: 1 })
    expect((await well.beat(body.id, { incarnation: 1, seq: 2 })).status).toBe(200)
  })
  expect((await late)?.status).toBe(200)
  expect((await unwell.read(body.id)).instances.map((instance) => instance.health)).toEqual(['passing', 'passing'])
})

// The race: a beat has begun and waits for its instance; meanwhile its task is given to somebody else, who commits first.
test('a beat that began before its task was lost does not renew the lease of the new owner', async ({
  registry,
  db,
  tenant,
}) => {
  const [agent, heir] = [registry.caller(), registry.caller()]
  const { body } = await agent.register()
  const { body: next } = await heir.register()
  const task = await giveTask(db, { tenantId: tenant.id, ...body })
  let late: Promise<{ status: number }> | undefined
  await db.transaction().execute(async (trx) => {
    await sql`select 1 from agent_instances where id = ${body.instanceId} for update`.execute(trx)
    late = agent.beat(body.id, { incarnation: 1, seq: 1 })
    await waitForBlocked(db)
    await sql`update tasks set lease_owner = ${next.instanceId}, attempt = 2, lease_expires_at = now() + interval '3 seconds'
      where id = ${task.taskId}`.execute(trx)
  })
  expect((await late)?.status).toBe(200)
  expect(await leaseLeftMs(db, task.taskId)).toBeLessThan(3001)
})

test('a beat that began before the next incarnation registered is fenced', async ({ registry, db }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  let late: Promise<{ status: number }> | undefined
  await db.transaction().execute(async (trx) => {
    await sql`update agent_instances set incarnation = 2 where id = ${body.instanceId}`.execute(trx)
    late = agent.beat(body.id, { incarnation: 1, seq: 1 })
    await waitForBlocked(db)
  })
  expect(await late).toMatchObject({ status: 409, body: { code: 'fenced' } })
  expect((await agent.read(body.id)).instances[0]?.lastHeartbeatAt).toBeUndefined()
})

// R4: whatever the order in which beats arrive, time never goes back and a replay changes nothing.
test('beats out of order and replayed are harmless', async ({ registry, db }) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 10 }), async (seqs) => {
      const agent = registry.caller()
      const { body } = await agent.register()
      let highest = 0
      let before: { at: number; lease: number } | undefined
      for (const seq of seqs) {
        const answer = await agent.beat(body.id, { incarnation: 1, seq })
        expect(answer.status).toBe(200)
        expect(answer.body.leaseMs).toBeGreaterThan(14_000)
        expect(answer.body.leaseMs).toBeLessThanOrEqual(15_000)
        const row = await db
          .selectFrom('agent_instances')
          .select(['heartbeat_seq', 'last_heartbeat_at', 'lease_expires_at'])
          .where('id', '=', body.instanceId)
          .executeTakeFirstOrThrow()
        const now = { at: Number(row.last_heartbeat_at), lease: Number(row.lease_expires_at) }
        if (seq <= highest) expect(now).toEqual(before)
        highest = Math.max(highest, seq)
        expect(row.heartbeat_seq).toBe(highest)
        before = now
      }
    }),
    { numRuns: 25 },
  )
})

test('a replayed beat is answered with what is left of the lease, not with a new one', async ({ registry, db }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  await agent.beat(body.id, { incarnation: 1, seq: 5 })
  await silence(db, [body.instanceId], 6000)
  const replay = await agent.beat(body.id, { incarnation: 1, seq: 5 })
  expect(replay.status).toBe(200)
  expect(replay.body.leaseMs).toBeLessThanOrEqual(9000)
  expect(replay.body.leaseMs).toBeGreaterThan(7000)
})

// Goal: in one batch, nobody sees or renews what belongs to another.
// Method: 60 instances of two tenants beat at once, each several times, over two replicas; each holds tasks of its own.
test('many beats at once: each sees its own cancels and losses, each renews its own tasks', async ({
  startRegistry,
  db,
  tenant,
  secondTenant,
}) => {
  const replicas = await Promise.all([startRegistry(), startRegistry()])
  const agents = await Promise.all(
    Array.from({ length: 60 }, async (_, n) => {
      const tenantId = n % 3 === 0 ? secondTenant.id : tenant.id
      const caller = (replicas[n % 2] ?? replicas[0]).caller({ tenantId })
      const { body } = await caller.register(card(`agent-${n % 5}`))
      const held = { tenantId, ...body, startedAgoMs: 120_000 }
      const missionId = await makeMission(db, tenantId)
      const canceled = await giveTask(db, { ...held, missionId })
      const kept = await giveTask(db, held)
      const dropped = await giveTask(db, held)
      await sql`update missions set cancel_requested_at = now() where id = ${missionId}`.execute(db)
      return { caller, body, canceled, kept, dropped }
    }),
  )
  const rounds = [1, 2, 3]
  await Promise.all(
    agents.flatMap(({ caller, body, canceled, kept }, n) =>
      rounds.map(async (seq) => {
        const neighbour = agents[(n + 1) % agents.length]?.kept.taskId ?? ''
        const tasks = [canceled.taskId, kept.taskId, neighbour].map((taskId) => ({ taskId, attempt: 1 }))
        const answer = await caller.beat(body.id, { incarnation: 1, seq, tasks })
        expect(answer).toMatchObject({
          status: 200,
          body: {
            canceled: [{ taskId: canceled.taskId, attempt: 1 }],
            lost: [{ taskId: neighbour, attempt: 1 }],
          },
        })
      }),
    ),
  )
  for (const { kept, canceled, dropped, body } of agents) {
    expect(await leaseLeftMs(db, kept.taskId)).toBeGreaterThan(12_000)
    expect(await leaseLeftMs(db, canceled.taskId)).toBeGreaterThan(12_000)
    expect(await leaseLeftMs(db, dropped.taskId)).toBeLessThan(5001)
    const row = await db
      .selectFrom('agent_instances')
      .select(['heartbeat_seq', 'health'])
      .where('id', '=', body.instanceId)
      .executeTakeFirst()
    expect(row).toEqual({ heartbeat_seq: 3, health: 'passing' })
  }
  for (const tenantId of [tenant.id, secondTenant.id]) {
    const changes = (await eventsOf(db, tenantId)).filter((event) => event.type === 'agent.health.changed')
    expect(new Set(changes.map((event) => event.instance_id)).size).toBe(changes.length)
  }
})

test('one bad beat harms no other of its batch', async ({ registry }) => {
  const [good, fenced, stranger] = [registry.caller(), registry.caller(), registry.caller()]
  const { body: a } = await good.register()
  const { body: b } = await fenced.register()
  const answers = await Promise.all([
    fenced.beat(b.id, { incarnation: 9, seq: 1 }),
    good.beat(a.id, { incarnation: 1, seq: 1 }),
    stranger.beat(a.id, { incarnation: 1, seq: 1 }),
    good.beat(a.id, { incarnation: 1, seq: 0 }),
    good.beat(a.id, { incarnation: 1, seq: 2, tasks: [{ taskId: newId(), attempt: 1 }] }),
  ])
  expect(answers.map((answer) => answer.status)).toEqual([409, 200, 403, 400, 200])
})

/** Waits until a beat waits for a row lock. */
async function waitForBlocked(db: Db): Promise<void> {
  await waitFor(
    async () => {
      const blocked = await sql`select 1 from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%heartbeat_seq%'`.execute(db)
      return blocked.rows.length > 0
    },
    { what: 'a beat that waits for a row' },
  )
}
