import { newId } from '@hypercode/contracts'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { giveTask, leaseLeftMs, makeMission, test } from './registry.ts'

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

test('a draining instance is told so with every beat, and keeps its tasks', async ({ registry, db, tenant }) => {
  const agent = registry.caller()
  const { body } = await agent.register()
  const task = await giveTask(db, { tenantId: tenant.id, ...body })
  await agent.call('POST', `/v1/agents/${body.id}:drain`)
  const answer = await agent.beat(body.id, { incarnation: 1, seq: 1 })
  expect(answer.body).toMatchObject({ lifecycle: 'draining', lost: [] })
  expect(await leaseLeftMs(db, task.taskId)).toBeGreaterThan(14_000)
})
