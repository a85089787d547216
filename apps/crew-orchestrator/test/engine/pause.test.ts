import type { ClaimedTask, Mission } from '@hypercode/contracts'
import { createTestTenant, waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { crewOf, sweep, test } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const three = crewOf('three', [{ id: 'a' }, { id: 'b' }, { id: 'c', dependsOn: ['a'] }])

test('a paused mission begins nothing, what runs comes to its end, and it goes on when it is resumed', async ({
  stage,
}) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(three)
  const [running] = (await agent.claim({ max: 1 })) as [ClaimedTask]
  const paused = await stage.operator.call<Mission>('POST', `/v1/missions/${mission.id}:pause`)
  expect(paused).toMatchObject({ status: 200, body: { state: 'paused' } })
  expect(await agent.claim({ waitMs: 300 })).toEqual([])
  // What it sets free waits as well.
  await agent.complete(running)
  expect(await agent.claim({ waitMs: 300 })).toEqual([])
  await expectInvariants(stage.db)
  const claim = agent.claim({ waitMs: 20_000 })
  await waitFor(() => stage.orchestrator.engine.desk.waiting === 1, { what: 'a waiting claim' })
  expect((await stage.operator.call<Mission>('POST', `/v1/missions/${mission.id}:resume`)).body.state).toBe('running')
  const rest = await claim
  for (const task of rest) await agent.complete(task)
  if (rest.length === 1) for (const task of await agent.claim()) await agent.complete(task)
  expect((await stage.mission(mission.id)).state).toBe('completed')
  await expectInvariants(stage.db)
})

test('one that never began is submitted again after its pause, and ends while it is paused when its last task does', async ({
  stage,
}) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crewOf('one', [{ id: 'only' }]))
  const act = async (verb: string) => await stage.operator.call<Mission>('POST', `/v1/missions/${mission.id}:${verb}`)
  expect((await act('pause')).body.state).toBe('paused')
  expect((await act('pause')).status).toBe(200)
  expect((await act('resume')).body.state).toBe('submitted')
  expect((await act('resume')).status).toBe(200)
  const [task] = (await agent.claim()) as [ClaimedTask]
  await act('pause')
  await agent.complete(task)
  expect((await stage.mission(mission.id)).state).toBe('completed')
  expect((await act('pause')).status).toBe(409)
  expect((await act('resume')).status).toBe(409)
  const types = (await stage.events(mission.id))
    .map((event) => event.type)
    .filter((type) => type.startsWith('mission.'))
  expect(types).toEqual([
    'mission.submitted',
    'mission.paused',
    'mission.resumed',
    'mission.started',
    'mission.paused',
    'mission.completed',
  ])
  await expectInvariants(stage.db)
})

test('a retry, a cancel and a deadline find a paused mission as they find another', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const retried = await stage.submit(crewOf('r', [{ id: 'only', retry: { initialInterval: '1ms' } }]))
  const [task] = (await agent.claim()) as [ClaimedTask]
  await stage.operator.call('POST', `/v1/missions/${retried.id}:pause`)
  await agent.fail(task)
  await waitFor(async () => (await sweep(stage), (await stage.tasks(retried.id))[0]?.state === 'queued'), {
    what: 'the retry',
  })
  expect(await agent.claim({ waitMs: 300 })).toEqual([])
  await stage.operator.call('POST', `/v1/missions/${retried.id}:cancel`)
  expect((await stage.mission(retried.id)).state).toBe('canceled')
  const late = await stage.submit(crewOf('d', [{ id: 'only' }], { policy: { deadline: '1s' } }))
  await stage.operator.call('POST', `/v1/missions/${late.id}:pause`)
  await waitFor(async () => (await stage.mission(late.id)).state === 'failed', {
    what: 'the deadline',
    timeoutMs: 10_000,
  })
  await expectInvariants(stage.db)
})

test('resuming waits for what another transaction has in its hands, and leaves no task behind', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(three)
  await stage.operator.call('POST', `/v1/missions/${mission.id}:pause`)
  let resumed: Promise<unknown> | undefined
  await stage.db.transaction().execute(async (trx) => {
    await sql`select 1 from tasks where mission_id = ${mission.id} and key = 'b' for update`.execute(trx)
    resumed = stage.operator.call('POST', `/v1/missions/${mission.id}:resume`)
    await new Promise((done) => setTimeout(done, 100))
    // As a sweep that holds the task asks for its mission: the resume must not sit on it.
    await sql`select 1 from missions where id = ${mission.id} for update`.execute(trx)
  })
  await resumed
  expect(await agent.claim()).toHaveLength(2)
  await expectInvariants(stage.db)
})

test('pausing is audited, and a mission of another tenant is not there', async ({ stage, db }) => {
  const mission = await stage.submit(three)
  const foreign = await stage.as(await createTestTenant(db))
  for (const verb of ['pause', 'resume'])
    expect((await foreign.call('POST', `/v1/missions/${mission.id}:${verb}`)).status).toBe(404)
  for (const verb of ['pause', 'resume']) await stage.operator.call('POST', `/v1/missions/${mission.id}:${verb}`)
  const audit =
    await sql`select actor, action from audit where action in ('mission.paused', 'mission.resumed') order by id`.execute(
      db,
    )
  expect(audit.rows).toEqual(
    ['mission.paused', 'mission.resumed'].map((action) => ({ actor: stage.operator.subject, action })),
  )
})

test('resumed by many at once, in two replicas, it goes on once', async ({ stage, replica }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crewOf('one', [{ id: 'only' }]))
  await stage.operator.call('POST', `/v1/missions/${mission.id}:pause`)
  const answers = await Promise.all(
    Array.from({ length: 10 }, async (_, index) => {
      const { operator } = index % 2 === 0 ? stage : replica
      return await operator.call('POST', `/v1/missions/${mission.id}:resume`)
    }),
  )
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  const [task, ...more] = (await agent.claim()) as [ClaimedTask]
  expect(more).toEqual([])
  await agent.complete(task)
  const types = (await stage.events(mission.id)).map((event) => event.type)
  for (const type of ['mission.resumed', 'task.claimed', 'task.completed'])
    expect(
      types.filter((one) => one === type),
      type,
    ).toHaveLength(1)
  await expectInvariants(stage.db)
})
