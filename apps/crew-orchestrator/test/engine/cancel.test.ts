import type { ClaimedTask, Mission } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants, expectNoDeadlocks } from '../invariants.ts'

const states = async (stage: Stage, id: string): Promise<Record<string, string>> =>
  Object.fromEntries((await stage.tasks(id)).map((task) => [task.key, task.state]))
const cancel = async (stage: Stage, id: string, body?: object) =>
  await stage.operator.call<Mission & { code?: string }>('POST', `/v1/missions/${id}:cancel`, body)

const MIXED = crewOf('mixed', [
  { id: 'running' },
  { id: 'retrying', retry: { initialInterval: '1h' } },
  { id: 'paused', retry: { maxAttempts: 1, onExhausted: 'pause' } },
  { id: 'fan', forEach: [1, 2] },
  { id: 'queued' },
  { id: 'blocked', dependsOn: ['queued'] },
])

/** A mission with a task in every state that a mission under way can have. */
async function mixed(stage: Stage): Promise<{ mission: Mission; agent: AgentCaller; running: ClaimedTask }> {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(MIXED)
  const [running, retrying, paused] = (await agent.claim({ max: 3 })) as [ClaimedTask, ClaimedTask, ClaimedTask]
  await agent.fail(retrying, { retryAfterMs: 3_600_000 })
  await agent.fail(paused)
  expect(await states(stage, mission.id)).toEqual({
    running: 'executing',
    retrying: 'scheduled',
    paused: 'paused',
    fan: 'waiting',
    'fan[0]': 'queued',
    'fan[1]': 'queued',
    queued: 'queued',
    blocked: 'blocked',
  })
  return { mission, agent, running }
}

describe('a cancel', () => {
  test('ends at once what waits in any state, and marks the mission for what runs', async ({ stage }) => {
    const { mission, agent, running } = await mixed(stage)
    const answer = await cancel(stage, mission.id, { reason: 'not needed' })
    expect(answer).toMatchObject({
      status: 200,
      body: { state: 'running', tasks: { open: 1 }, cancelRequestedAt: expect.any(String) },
    })
    const { running: left, ...others } = await states(stage, mission.id)
    expect(left).toBe('executing')
    expect(new Set(Object.values(others))).toEqual(new Set(['canceled']))
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    await agent.report({ taskId: running.taskId, attempt: 1, outcome: 'canceled' })
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'canceled', tasks: { open: 0 } })
    expect((await stage.events(mission.id)).find((event) => event.type === 'mission.cancel_requested')?.body).toEqual({
      reason: 'not needed',
    })
    await expectInvariants(stage.db)
  })

  test('of a mission that nobody has begun ends it at once', async ({ stage }) => {
    const mission = await stage.submit(MIXED)
    expect((await cancel(stage, mission.id)).body).toMatchObject({ state: 'canceled', tasks: { total: 8, open: 0 } })
    await expectInvariants(stage.db)
  })

  test('asked for twice, or after the end, changes nothing', async ({ stage }) => {
    const { mission, agent, running } = await mixed(stage)
    const first = (await cancel(stage, mission.id)).body
    expect((await cancel(stage, mission.id)).body.version).toBe(first.version)
    await agent.complete(running)
    const ended = (await cancel(stage, mission.id)).body
    expect(ended).toMatchObject({ state: 'canceled', cancelRequestedAt: first.cancelRequestedAt })
    const done = await stage.submit(crewOf('x', [{ id: 'a', when: 'false' }]))
    expect((await cancel(stage, done.id)).body).toEqual(await stage.mission(done.id))
    const audit = await stage.db
      .selectFrom('audit')
      .select('ref')
      .where('action', '=', 'mission.cancel_requested')
      .execute()
    expect(audit).toEqual([{ ref: mission.id }])
    await expectInvariants(stage.db)
  })

  test('what runs may still complete: its result is kept, and the mission is canceled all the same', async ({
    stage,
  }) => {
    const { mission, agent, running } = await mixed(stage)
    await cancel(stage, mission.id)
    expect((await agent.complete(running, 'kept')).body.results).toMatchObject([
      { status: 'accepted', state: 'completed' },
    ])
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'canceled', output: { running: 'kept' } })
    await expectInvariants(stage.db)
  })

  test('an agent that does not answer is cut off after the grace time, and not before', async ({ stage }) => {
    const { mission, agent, running } = await mixed(stage)
    await cancel(stage, mission.id)
    await sweep(stage)
    expect((await states(stage, mission.id))['running']).toBe('executing')
    await sql`update missions set cancel_requested_at = now() - interval '31 s'`.execute(stage.db)
    await sweep(stage)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'canceled', tasks: { open: 0 } })
    expect((await agent.complete(running)).status).toBe(409)
    await expectInvariants(stage.db)
  })

  test('of a paused mission ends it too: at once what waits, and after the grace time what runs', async ({ stage }) => {
    const { mission } = await mixed(stage)
    await stage.operator.call('POST', `/v1/missions/${mission.id}:pause`)
    expect((await cancel(stage, mission.id)).body).toMatchObject({ tasks: { open: 1 } })
    await sql`update missions set cancel_requested_at = now() - interval '31 s'`.execute(stage.db)
    await sweep(stage)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'canceled', tasks: { open: 0 } })
    await expectInvariants(stage.db)
  })

  test('whatever the agent says after it, there is no further attempt', async ({ stage }) => {
    for (const outcome of ['failed', 'released', 'rejected'] as const) {
      const { mission, agent, running } = await mixed(stage)
      await cancel(stage, mission.id)
      const error = { code: 'x', message: 'm', retryable: true }
      await agent.report({ taskId: running.taskId, attempt: 1, outcome, ...(outcome === 'released' ? {} : { error }) })
      expect((await stage.mission(mission.id)).tasks.open).toBe(0)
      expect(await agent.claim({ waitMs: 0 })).toEqual([])
    }
    await expectInvariants(stage.db)
  })

  test('a task that slipped past it is found by the next sweep', async ({ stage }) => {
    const mission = await stage.submit(crewOf('x', [{ id: 'a' }, { id: 'b', dependsOn: ['a'] }]))
    // Held, as a claim or a sweep would hold it that is then rolled back.
    let canceled: Promise<unknown> | undefined
    await expect(
      stage.db.transaction().execute(async (trx) => {
        await sql`select 1 from tasks where mission_id = ${mission.id} and key = 'a' for update`.execute(trx)
        canceled = cancel(stage, mission.id)
        await canceled
        throw new Error('rolled back')
      }),
    ).rejects.toThrow('rolled back')
    expect(await states(stage, mission.id)).toEqual({ a: 'queued', b: 'canceled' })
    expect(await (await stage.agent(['work'])).claim({ waitMs: 0 })).toEqual([])
    await sweep(stage)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'canceled', tasks: { open: 0 } })
    await expectInvariants(stage.db)
  })

  test.for(['queued', 'retrying', 'paused'])('so is one that was %s', async (key, { stage }) => {
    const { mission, agent, running } = await mixed(stage)
    await agent.complete(running)
    await stage.db.transaction().execute(async (trx) => {
      await sql`select 1 from tasks where mission_id = ${mission.id} and key = ${key} for update`.execute(trx)
      expect((await cancel(stage, mission.id)).body).toMatchObject({ tasks: { open: 1 } })
    })
    await sweep(stage)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'canceled', tasks: { open: 0 } })
    await expectInvariants(stage.db)
  })
})

describe('a cancel and a completion at the same moment', () => {
  test('200 rounds: each task has one end, and the answers tell the truth', async ({ stage, replica }) => {
    const agent = await stage.agent(['work'], { slots: 50 })
    const elsewhere = await replica.adopt(agent)
    const round = async (): Promise<void> => {
      await stage.submit(crewOf('one', [{ id: 'a' }, { id: 'b', dependsOn: ['a'] }]))
      const [task] = (await agent.claim({ max: 1 })) as [ClaimedTask]
      const [canceled, completed] = await Promise.all([
        cancel(replica, task.missionId),
        (Math.random() < 0.5 ? agent : elsewhere).complete(task, 1),
      ])
      expect([canceled.status, completed.status]).toEqual([200, 200])
      expect(completed.body.results).toMatchObject([{ status: 'accepted', state: 'completed' }])
      expect(await states(stage, task.missionId)).toEqual({ a: 'completed', b: 'canceled' })
      const now = await stage.mission(task.missionId)
      expect(now).toMatchObject({ state: 'canceled', output: {}, tasks: { open: 0 } })
      expect(now.version).toBeGreaterThanOrEqual(canceled.body.version)
    }
    for (let rounds = 0; rounds < 200; rounds += 10) await Promise.all(Array.from({ length: 10 }, round))
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  }, 60_000)

  test('with a claim too: a canceled mission gives out nothing more', async ({ stage, replica }) => {
    const agent = await replica.agent(['work'], { slots: 1000 })
    for (let round = 0; round < 30; round += 1) {
      const mission = await stage.submit(crewOf('fan', [{ id: 'each', forEach: Array.from({ length: 10 }, () => 0) }]))
      const [, tasks] = await Promise.all([cancel(stage, mission.id), agent.claim({ waitMs: 0, max: 5 })])
      await sweep(stage)
      expect(await agent.claim({ waitMs: 0 })).toEqual([])
      for (const task of tasks) await agent.report({ taskId: task.taskId, attempt: 1, outcome: 'canceled' })
      expect(await stage.mission(mission.id)).toMatchObject({ state: 'canceled', tasks: { open: 0 } })
    }
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  }, 60_000)

  test('two sweeps cut off what is beyond its grace once', async ({ stage, replica }) => {
    const agent = await stage.agent(['work'], { slots: 300 })
    const mission = await stage.submit(crewOf('fan', [{ id: 'each', forEach: Array.from({ length: 300 }, () => 0) }]))
    while ((await agent.claim({ max: 300, waitMs: 0 })).length > 0) continue
    await cancel(stage, mission.id)
    for (let turn = 0; turn < 2; turn += 1)
      await Promise.all([stage, replica].map((one) => sweep(one, { cancelGraceMs: 0 })))
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'canceled', tasks: { open: 0 } })
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  })
})
