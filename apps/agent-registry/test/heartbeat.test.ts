import { newId } from '@hypercode/contracts'
import type { HeartbeatAnswer } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { waitFor } from '@hypercode/testkit'
import fc from 'fast-check'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { card, eventsOf, giveTask, leaseLeftMs, makeMission, silence, test } from './registry.ts'

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

test('a beat renews all tasks of the instance when it reports none, and only its own', async ({
  registry,
  db,
  tenant,
}) => {
  const [agent, other] = [registry.caller(), registry.caller()]
  const { body } = await agent.register()
  const { body: theirs } = await other.register()
  const old = { startedAgoMs: 120_000 }
  const mine = await giveTask(db, { tenantId: tenant.id, ...body, ...old })
  const alien = await giveTask(db, { tenantId: tenant.id, ...theirs, ...old })
  const former = await giveTask(db, { tenantId: tenant.id, instanceId: body.instanceId, incarnation: 7, ...old })
  await agent.beat(body.id, { incarnation: 1, seq: 1 })
  expect(await leaseLeftMs(db, mine.taskId)).toBeGreaterThan(14_000)
  expect(await leaseLeftMs(db, alien.taskId)).toBeLessThan(5001)
  expect(await leaseLeftMs(db, former.taskId)).toBeLessThan(5001)
})

// A claim whose answer was lost leaves an attempt that nobody works on. It must not be held for ever by the beats of its owner.
test('an attempt that the agent does not report is renewed while it is young, and then runs out', async ({
  registry,
  db,
  tenant,
}) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  const held = { tenantId: tenant.id, ...body }
  const known = await giveTask(db, { ...held, startedAgoMs: 120_000 })
  const young = await giveTask(db, { ...held, startedAgoMs: 2000 })
  const ghost = await giveTask(db, { ...held, startedAgoMs: 120_000 })
  const answer = await agent.beat(body.id, { incarnation: 1, seq: 1, tasks: [{ taskId: known.taskId, attempt: 1 }] })
  expect(answer.body).toMatchObject({ canceled: [], lost: [] })
  expect(await leaseLeftMs(db, known.taskId)).toBeGreaterThan(14_000)
  expect(await leaseLeftMs(db, young.taskId)).toBeGreaterThan(14_000)
  expect(await leaseLeftMs(db, ghost.taskId)).toBeLessThan(5001)
})

test('a beat brings back what is canceled and what is lost', async ({ registry, db, tenant }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  const held = { tenantId: tenant.id, ...body }
  const missionId = await makeMission(db, tenant.id)
  const canceled = await giveTask(db, { ...held, missionId, attempt: 2 })
  const kept = await giveTask(db, held)
  await sql`update missions set cancel_requested_at = now() where id = ${missionId}`.execute(db)
  const lost = [
    { taskId: kept.taskId, attempt: 4 },
    { taskId: newId(), attempt: 1 },
  ]
  const answer = await agent.beat(body.id, {
    incarnation: 1,
    seq: 1,
    tasks: [{ taskId: kept.taskId, attempt: 1 }, { taskId: canceled.taskId, attempt: 2 }, ...lost],
  })
  expect(answer.body).toMatchObject({ canceled: [{ taskId: canceled.taskId, attempt: 2 }], lost })
})

test('what undoes the work of a canceled mission is not canceled', async ({ registry, db, tenant }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  const missionId = await makeMission(db, tenant.id)
  const undoing = await giveTask(db, { tenantId: tenant.id, ...body, missionId })
  await sql`update missions set cancel_requested_at = now(), compensating_at = now() where id = ${missionId}`.execute(
    db,
  )
  const tasks = [{ taskId: undoing.taskId, attempt: 1 }]
  const answer = await agent.beat(body.id, { incarnation: 1, seq: 1, tasks })
  expect(answer.body).toMatchObject({ canceled: [], lost: [] })
})

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

test('a stopped instance is fenced until it registers again', async ({ registry }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  expect((await agent.call('DELETE', `/v1/agents/${body.id}/instances/${body.instanceId}`)).status).toBe(204)
  expect((await agent.beat(body.id, { incarnation: 1, seq: 1 })).body).toMatchObject({ code: 'fenced' })
  const { body: again } = await agent.register()
  expect((await agent.beat(body.id, { incarnation: again.incarnation, seq: 1 })).status).toBe(200)
})

test('a draining instance is told so with every beat, and keeps its tasks', async ({ registry, db, tenant }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  const task = await giveTask(db, { tenantId: tenant.id, ...body })
  await agent.call('POST', `/v1/agents/${body.id}:drain`)
  const answer = await agent.beat(body.id, { incarnation: 1, seq: 1 })
  expect(answer.body).toMatchObject({ lifecycle: 'draining', lost: [] })
  expect(await leaseLeftMs(db, task.taskId)).toBeGreaterThan(14_000)
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
