import type { Approval, Gate, Mission } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { explainKey, shut } from '../explain/explaining.ts'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import type { Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { turnSubCrews } from './sub-crew-turn.ts'
import { asked, crew, decide, expectPausedBy, finish, next, operate, post, resume, stateOf, taskOf } from './pausing.ts'

describe('a crew within', () => {
  const outer = crew([
    { id: 'a', crew: 'inner', member: undefined, input: 5 },
    { id: 'b', dependsOn: ['a'], input: '${tasks.a.output}' },
  ])
  const inner = async (stage: Stage): Promise<Mission[]> =>
    (await stage.operator.call<{ items: Mission[] }>('GET', '/v1/missions?crew=inner')).body.items
  const store = async (stage: Stage): Promise<number> =>
    (await post(stage, '/v1/crews', crewOf('inner', [{ id: 'w', retry: { maxAttempts: 1 } }]))).status

  test('that failed does its work by another mission when it is retried', async ({ stage }) => {
    await store(stage)
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(outer)
    await turnSubCrews(stage)
    for (const code of ['boom', 'again']) {
      await agent.fail(await next(agent), { code, message: code })
      await Promise.all([turnSubCrews(stage), turnSubCrews(stage)])
      await expectPausedBy(stage, id, code, `crew inner ended failed: task w: ${code}`)
      expect(await turnSubCrews(stage)).toBe(0)
      expect(await operate(stage, id, 'retry')).toBe(200)
      // Nothing of a mission is begun while it is paused.
      expect(await turnSubCrews(stage)).toBe(0)
      await resume(stage, id)
      await Promise.all([turnSubCrews(stage), turnSubCrews(stage)])
      await expectInvariants(stage.db)
    }
    const parentTaskId = (await taskOf(stage, id)).id
    expect(await inner(stage)).toMatchObject(
      ['submitted', 'failed', 'failed'].map((state) => ({ state, input: 5, parentTaskId })),
    )
    await agent.complete(await next(agent), 'done')
    await turnSubCrews(stage)
    expect((await next(agent)).input).toEqual({ w: 'done' })
    await expectInvariants(stage.db)
  })

  test('that is paused itself: the task that waits for it says so, and how it goes on', async ({ stage }) => {
    await post(stage, '/v1/crews', crewOf('inner', [{ id: 'w' }], { policy: { onTaskFailure: 'pause' } }))
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(outer)
    await turnSubCrews(stage)
    const task = await next(agent)
    await agent.fail(task, { retryable: false })
    expect(await stateOf(stage, id)).toMatchObject({ a: 'waiting', b: 'blocked' })
    const gate = shut(await explainKey(stage, id, 'a')).find((one) => one.gate === 'children')
    expect(gate).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining('and is paused'),
      holders: [{ kind: 'mission', id: task.missionId, name: 'inner' }],
      command: { method: 'POST', path: `/v1/missions/${task.missionId}:resume` },
    })
    expect(await operate(stage, task.missionId, 'retry', 'w')).toBe(200)
    await resume(stage, task.missionId)
    await agent.complete(await next(agent))
    await turnSubCrews(stage)
    await finish(stage, agent, id)
  })

  test('that does not exist: stored and retried, or skipped', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(outer)
    await turnSubCrews(stage)
    await expectPausedBy(stage, id, 'crew_unknown', 'failed')
    await store(stage)
    expect(await operate(stage, id, 'retry')).toBe(200)
    await resume(stage, id)
    await turnSubCrews(stage)
    await agent.fail(await next(agent))
    await turnSubCrews(stage)
    expect(await operate(stage, id, 'skip')).toBe(200)
    await resume(stage, id)
    await finish(stage, agent, id)
  })
})

test('an element that fails pauses the mission and not its forEach', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const { id } = await stage.submit(
    crew([
      { id: 'a', forEach: [1, 2], approval: {} },
      { id: 'b', dependsOn: ['a'] },
    ]),
  )
  const { items } = (await stage.operator.call<{ items: Approval[] }>('GET', '/v1/approvals')).body
  const [one, two] = items.toSorted((x, y) => x.taskKey.localeCompare(y.taskKey)) as [Approval, Approval]
  await decide(stage, one, 'reject')
  await decide(stage, two, 'approve')
  expect(await stateOf(stage, id)).toMatchObject({
    mission: 'paused',
    a: 'waiting',
    'a[0]': 'paused',
    'a[1]': 'queued',
  })
  expect(await operate(stage, id, 'retry', 'a[0]')).toBe(200)
  await decide(stage, await asked(stage, id), 'approve')
  await resume(stage, id)
  await finish(stage, agent, id)
})

test('what its agent cancels although nobody asked for it', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const { id } = await stage.submit(crew([{ id: 'a' }, { id: 'b', dependsOn: ['a'] }]))
  const { taskId, attempt } = await next(agent)
  await agent.report({ taskId, attempt, outcome: 'canceled' })
  await expectPausedBy(stage, id, 'canceled', 'nobody had asked for that')
  expect(await operate(stage, id, 'retry')).toBe(200)
  await resume(stage, id)
  await finish(stage, agent, id)
})

test('what waits beyond its total time pauses the mission, waits on, and has that time again', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const { id } = await stage.submit(
    crew([
      { id: 'a', timeouts: { total: '1h' } },
      { id: 'b', dependsOn: ['a'] },
    ]),
  )
  const { taskId, attempt } = await next(agent)
  const wait = { kind: 'signal', name: 'go', signal: 'go' }
  await agent.report({ taskId, attempt, outcome: 'waiting', wait })
  const late = async (): Promise<void> => {
    await sql`update tasks set total_deadline_at = now() where key = 'a'`.execute(stage.db)
    await sweep(stage)
    await sweep(stage)
  }
  await late()
  expect(await stateOf(stage, id)).toEqual({ mission: 'paused', a: 'waiting', b: 'blocked' })
  const [mission, waits] = shut(await explainKey(stage, id, 'a')) as [Gate, Gate]
  expect(mission).toMatchObject({ gate: 'mission', detail: expect.stringContaining('within its total time') })
  expect(waits).toMatchObject({ gate: 'wait' })
  await resume(stage, id)
  await sweep(stage)
  expect((await stage.mission(id)).state).toBe('running')
  await late()
  await resume(stage, id)
  expect((await post(stage, `/v1/missions/${id}:signal`, { name: 'go' })).status).toBe(200)
  await finish(stage, agent, id)
})

test('a person who cancels a task wants no pause', async ({ stage }) => {
  const { id } = await stage.submit(crew([{ id: 'a' }, { id: 'b', dependsOn: ['a'] }]))
  expect((await post(stage, `/v1/tasks/${(await taskOf(stage, id)).id}:cancel`)).status).toBe(200)
  expect((await stage.mission(id)).state).toBe('failed')
  await expectInvariants(stage.db)
})
