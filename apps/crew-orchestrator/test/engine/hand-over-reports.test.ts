import { setTimeout as sleep } from 'node:timers/promises'
import type { ClaimedTask } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { SINGLE, handedOver, stateOf, told, waiting } from '../handing.ts'
import { crewOf, stillTest as test } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

describe('a report', () => {
  const CHAIN = crewOf('chain', [
    { id: 'a' },
    { id: 'b', dependsOn: ['a'], input: { from: '${tasks.a.output.x}' } },
    { id: 'c', dependsOn: ['b'], input: '${tasks.b.output}' },
  ])

  test('hands over the next task of a chain, whose mission starts once', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const first = await waiting(stage, agent)
    const mission = await stage.submit(CHAIN)
    const [a] = (await first.answer) as [ClaimedTask]
    const second = await waiting(stage, agent)
    expect(await agent.complete(a, { x: 7 })).toMatchObject({
      status: 200,
      body: { results: [{ status: 'accepted', state: 'completed' }] },
    })
    const [b] = (await second.answer) as [ClaimedTask]
    expect(b).toMatchObject({ key: 'b', attempt: 1, input: { from: 7 }, correlationId: mission.correlationId })
    const third = await waiting(stage, agent)
    await agent.complete(b, 'end')
    const [c] = (await third.answer) as [ClaimedTask]
    expect(c.input).toBe('end')
    await agent.complete(c)
    expect(await handedOver(stage, mission.id)).toEqual({ a: true, b: true, c: true })
    expect(await told(stage, mission.id)).toEqual([
      ...['mission.submitted', 'task.queued', 'mission.started', 'task.claimed'],
      ...['task.completed', 'task.queued', 'task.claimed'],
      ...['task.completed', 'task.queued', 'task.claimed'],
      ...['task.completed', 'mission.completed'],
    ])
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed' })
    for (const task of await stage.tasks(mission.id)) expect(task).toMatchObject({ startedAt: expect.any(String) })
    await expectInvariants(stage.db)
  })

  test('wakes other claims for what it queues beside that, and for what has its input in the database', async ({
    stage,
  }) => {
    const [worker, tester, third] = [
      await stage.agent(['work']),
      await stage.agent(['test']),
      await stage.agent(['third']),
    ]
    const behind = { dependsOn: ['a'], input: '${tasks.a.output}' }
    const mission = await stage.submit(
      crewOf('fork', [
        { id: 'a' },
        { ...behind, id: 'b' },
        { ...behind, id: 'c', skill: 'test', concurrency: { key: 'one', limit: 1 } },
        { id: 'd', dependsOn: ['a'], skill: 'third', input: { fixed: 1 } },
      ]),
    )
    const [a] = (await worker.claim()) as [ClaimedTask]
    const claims = []
    for (const agent of [worker, tester, third]) claims.push((await waiting(stage, agent)).answer)
    await worker.complete(a, 7)
    const tasks = (await Promise.all(claims)).flat()
    expect(tasks.map(({ key, input }) => [key, input])).toEqual([
      ['b', 7],
      ['c', 7],
      ['d', { fixed: 1 }],
    ])
    expect(await handedOver(stage, mission.id)).toEqual({ a: false, b: true, c: false, d: false })
    await expectInvariants(stage.db)
  })

  test('hands nothing over in a mission that it pauses, nor what is tried again', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const crew = crewOf(
      'stops',
      [
        { id: 'bad', retry: { maxAttempts: 1 } },
        { id: 'again', retry: { initialInterval: '1ms' } },
        { id: 'next', dependsOn: ['again'], input: '${mission.input}' },
      ],
      { policy: { onTaskFailure: 'pause' } },
    )
    const mission = await stage.submit(crew)
    const [bad, again] = (await agent.claim({ max: 2 })) as [ClaimedTask, ClaimedTask]
    const { answer } = await waiting(stage, agent)
    const results = [
      { taskId: again.taskId, attempt: 1, outcome: 'completed', output: null },
      { taskId: bad.taskId, attempt: 1, outcome: 'failed', error: { code: 'x', message: 'x', retryable: false } },
    ]
    await agent.call('POST', '/v1/completions', { incarnation: agent.incarnation, results })
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'paused' })
    expect((await stage.tasks(mission.id)).find(({ key }) => key === 'next')).toMatchObject({ state: 'queued' })
    const other = await stage.submit(SINGLE)
    expect(await answer).toMatchObject([{ missionId: other.id }])
    await expectInvariants(stage.db)
  })

  test('that waits for its mission gives the next attempt all of its time', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const limits = { timeouts: { attempt: '1s', heartbeat: '1s' } }
    const mission = await stage.submit(
      crewOf('short', [{ id: 'a' }, { id: 'b', dependsOn: ['a'], input: '${tasks.a.output}', ...limits }]),
    )
    const [a] = (await agent.claim()) as [ClaimedTask]
    const { answer } = await waiting(stage, agent)
    const report = await stage.db.transaction().execute(async (trx) => {
      await sql`select 1 from missions where id = ${mission.id} for update`.execute(trx)
      const reported = agent.complete(a)
      await sleep(700)
      return { reported }
    })
    expect((await report.reported).status).toBe(200)
    expect(await answer).toMatchObject([{ key: 'b', attemptTimeoutMs: 1000 }])
    expect(await handedOver(stage, mission.id)).toEqual({ a: false, b: true })
    const { rows } = await sql<Record<'attempt' | 'heartbeat' | 'lease', number>>`
      select extract(epoch from t.attempt_deadline_at - a.started_at)::float as attempt,
        extract(epoch from t.progress_deadline_at - a.started_at)::float as heartbeat,
        extract(epoch from t.lease_expires_at - a.started_at)::float as lease
      from tasks t join attempts a on a.task_id = t.id where t.mission_id = ${mission.id} and t.key = 'b'`.execute(
      stage.db,
    )
    expect(rows[0]?.attempt).toBeGreaterThan(0.8)
    expect(rows[0]?.heartbeat).toBeGreaterThan(0.8)
    expect(rows[0]?.lease).toBeGreaterThan(14.8)
  })

  test('of an instance without further slots leaves its next task to whoever is free', async ({ stage }) => {
    const agent = await stage.agent(['work'], { slots: 1 })
    const mission = await stage.submit(CHAIN)
    const [a] = (await agent.claim()) as [ClaimedTask]
    const { answer } = await waiting(stage, agent)
    await agent.complete(a, { x: 1 })
    expect(await answer).toMatchObject([{ key: 'b', attempt: 1 }])
    expect(await stateOf(stage, mission.id)).toEqual(['completed', 'executing', 'blocked'])
    await expectInvariants(stage.db)
  })
})
