import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@hypercode/contracts'
import type { ClaimedTask, Mission } from '@hypercode/contracts'
import { createFaultProxy, waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { describe, expect, onTestFinished } from 'vitest'
import { SINGLE, handedOver, stateOf, waiting } from '../handing.ts'
import { STILL, crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

describe('a task that was handed over', () => {
  async function handedTask(stage: Stage) {
    const agent = await stage.agent(['work'])
    const claimId = newId()
    const { answer } = await waiting(stage, agent, { claimId })
    const mission = await stage.submit(SINGLE)
    const [task] = (await answer) as [ClaimedTask]
    expect(await handedOver(stage, mission.id)).toEqual({ only: true })
    return { agent, claimId, mission, task }
  }

  test('comes again with the same claim, also from another process, and no other', async ({ stage, replica }) => {
    const { agent, claimId, task } = await handedTask(stage)
    await stage.submit(SINGLE)
    expect(await agent.claim({ claimId, waitMs: 0 })).toMatchObject([{ taskId: task.taskId, attempt: 1 }])
    const elsewhere = await replica.adopt(agent)
    expect(await elsewhere.claim({ claimId, waitMs: 0 })).toMatchObject([{ taskId: task.taskId, attempt: 1 }])
    expect(await stage.db.selectFrom('attempts').selectAll().execute()).toHaveLength(1)
  })

  test('is reported under its fence, and under no other', async ({ stage }) => {
    const { agent, task, mission } = await handedTask(stage)
    const done = { taskId: task.taskId, attempt: 1, outcome: 'completed', output: 1 }
    const stranger = await stage.agent(['work'])
    expect((await agent.report(done, 2)).status).toBe(409)
    expect((await stranger.report(done)).status).toBe(409)
    expect((await agent.report({ ...done, attempt: 2 })).status).toBe(409)
    expect(await stateOf(stage, mission.id)).toEqual(['executing'])
    expect((await agent.report(done)).body.results).toMatchObject([{ status: 'accepted', state: 'completed' }])
    expect((await agent.report(done)).body.results).toMatchObject([{ status: 'replayed' }])
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed' })
    await expectInvariants(stage.db)
  })

  test('is canceled by who holds it, when its mission is canceled at once', async ({ stage }) => {
    const { agent, task, mission } = await handedTask(stage)
    const canceled = await stage.operator.call<Mission>('POST', `/v1/missions/${mission.id}:cancel`)
    expect(canceled).toMatchObject({ status: 200, body: { state: 'running', cancelRequestedAt: expect.any(String) } })
    await agent.report({ taskId: task.taskId, attempt: 1, outcome: 'canceled' })
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'canceled', tasks: { open: 0 } })
    await expectInvariants(stage.db)
  })

  test('is explained as one that is held by its instance', async ({ stage }) => {
    const { agent, task } = await handedTask(stage)
    const { body } = await stage.operator.call<{ verdict: string; gates: object[] }>(
      'GET',
      `/v1/tasks/${task.taskId}:explain`,
    )
    expect(body).toMatchObject({ verdict: 'running' })
    expect(JSON.stringify(body.gates)).toContain(agent.instanceId)
  })
})

// Goal: the row that the relay sends later tells as much as the hint that goes at once. Method: without Redis all of them stay.
test('the outbox says how far the events go, whether something was handed over or not', async ({ open, redisUrl }) => {
  const proxy = await createFaultProxy(redisUrl)
  onTestFinished(async () => await proxy.stop())
  await proxy.setMode('refuse')
  const stage = await open({ ...STILL, REDIS_URL: proxy.through(redisUrl) })
  const agent = await stage.agent(['work'])
  const chain = crewOf('chain', [{ id: 'a' }, { id: 'b', dependsOn: ['a'], input: '${tasks.a.output}' }])
  const seqs = async (missionId: string): Promise<number[]> => {
    const { rows } = await sql<{ seq: number }>`
      select (hint->>'seq')::int as seq from outbox, jsonb_array_elements(payload) hint
      where hint->>'missionId' = ${missionId} order by id`.execute(stage.db)
    return rows.map(({ seq }) => seq)
  }
  const first = await waiting(stage, agent, { max: 1 })
  const mission = await stage.submit(chain)
  const [a] = (await first.answer) as [ClaimedTask]
  const second = await waiting(stage, agent, { max: 1 })
  await agent.complete(a)
  const [b] = (await second.answer) as [ClaimedTask]
  await agent.complete(b)
  expect(await handedOver(stage, mission.id)).toEqual({ a: true, b: true })
  expect(await seqs(mission.id)).toEqual([4, 7, 9])

  await stage.operator.call('PUT', '/v1/queues/work/limits', { maxExecuting: 5 })
  const third = await waiting(stage, agent, { max: 1 })
  const queued = await stage.submit(chain)
  await third.answer
  expect(await seqs(queued.id)).toEqual([2, 4])
})

// Goal: whatever is lent, leased and reported at the same time, each task is given once, and no instance more than it has slots for.
// Method: instances with more claims than slots, in two groups each, while missions come one by one and all at once.
test('in a crowd of claims nothing is given twice, and no slot', async ({ stage }) => {
  const agents = await Promise.all([1, 2, 3].map(async () => await stage.agent(['work', 'test'], { slots: 2 })))
  const crew = crewOf('crowd', [
    { id: 'all', forEach: [1, 2, 3], input: '${item}' },
    { id: 'next', skill: 'test', dependsOn: ['all'], input: '${tasks.all.output}' },
  ])
  const ALL = ['work', 'test']
  let isOpen = true
  const work = async (agent: AgentCaller, skills: string[]): Promise<void> => {
    while (isOpen) {
      // Long, so that all of them wait at some moment, however slowly each comes back.
      const tasks = await agent.claim({ max: 2, waitMs: 5000, skills })
      await Promise.all(tasks.map(async (task) => expect((await agent.complete(task)).status).toBe(200)))
    }
  }
  const loops = agents.flatMap((agent) => [work(agent, ALL), work(agent, ALL), work(agent, ['test'])])
  const missions: string[] = []
  for (let turn = 0; turn < 20; turn += 1) {
    const batch = Array.from({ length: 1 + (turn % 3) }, async () => (await stage.submit(crew)).id)
    missions.push(...(await Promise.all(batch)))
    if (turn % 2 === 0) continue
    await waitFor(() => stage.orchestrator.engine.desk.waiting === loops.length, { what: 'a calm moment' })
    await sleep(30)
  }
  const open = async (): Promise<number> =>
    (await stage.db.selectFrom('missions').select('id').where('ended_at', 'is', null).execute()).length
  await waitFor(async () => (await open()) === 0, { what: 'the end of all missions', timeoutMs: 15_000 })
  isOpen = false
  stage.orchestrator.engine.desk.stop()
  await Promise.all(loops)
  const over = await sql<{ at_once: number }>`
    select max(n)::int as at_once from attempts a cross join lateral (
      select count(*) as n from attempts b where b.agent_instance_id = a.agent_instance_id
        and b.started_at <= a.started_at and b.ended_at > a.started_at) held`.execute(stage.db)
  expect(over.rows).toEqual([{ at_once: 2 }])
  const handed = await Promise.all(missions.map(async (id) => Object.values(await handedOver(stage, id))))
  expect(new Set(handed.flat())).toEqual(new Set([true, false]))
  await expectInvariants(stage.db)
})
