import { newId } from '@hypercode/contracts'
import type { ClaimedTask, DeadLetter, Mission, Problem, Task } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants, expectNoDeadlocks } from '../invariants.ts'

type Operation = 'cancel' | 'retry' | 'skip'
const act = async (stage: Stage, task: Task, operation: Operation, body?: object) =>
  await stage.operator.call<Task & Problem>('POST', `/v1/tasks/${task.id}:${operation}`, body)
const byKey = async (stage: Stage, mission: Mission): Promise<Record<string, Task>> =>
  Object.fromEntries((await stage.tasks(mission.id)).map((task) => [task.key, task]))
const wait = { kind: 'timer', name: 'nap', delayMs: 3_600_000 }

/** A mission with a task in every state that a person can meet. */
async function mixed(stage: Stage): Promise<{ mission: Mission; agent: AgentCaller; running: ClaimedTask }> {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(
    crewOf(
      'mixed',
      [
        { id: 'executing' },
        { id: 'scheduled' },
        { id: 'paused', retry: { maxAttempts: 1, onExhausted: 'pause' } },
        { id: 'waiting' },
        { id: 'queued' },
        { id: 'asked', approval: {} },
        { id: 'blocked', dependsOn: ['queued'] },
        { id: 'elements', skill: 'other', forEach: [1, 2] },
        { id: 'last', dependsOn: ['blocked', 'scheduled', 'paused', 'waiting', 'asked'] },
      ],
      { policy: { onTaskFailure: 'continue' } },
    ),
  )
  const [running, scheduled, paused, waiting] = (await agent.claim({ max: 4 })) as ClaimedTask[]
  await agent.fail(scheduled as ClaimedTask, { retryAfterMs: 3_600_000 })
  await agent.fail(paused as ClaimedTask)
  await agent.report({ taskId: waiting?.taskId, attempt: 1, outcome: 'waiting', wait })
  const tasks = await byKey(stage, mission)
  expect(Object.values(tasks).map((task) => task.state)).toEqual([
    'executing',
    'scheduled',
    'paused',
    'waiting',
    'queued',
    'input_required',
    'waiting',
    'blocked',
    'blocked',
    'queued',
    'queued',
  ])
  return { mission, agent, running: running as ClaimedTask }
}

describe('a person', () => {
  test('skips what does not run: its output is null, and what waits for it goes on', async ({ stage }) => {
    const { mission, agent, running } = await mixed(stage)
    const tasks = await byKey(stage, mission)
    for (const key of ['blocked', 'scheduled', 'paused', 'waiting', 'asked']) {
      const answer = await act(stage, tasks[key] as Task, 'skip', { reason: `not needed: ${key}` })
      expect(answer, key).toMatchObject({ status: 200, body: { state: 'skipped', reason: `not needed: ${key}` } })
      expect(answer.body.error).toBeUndefined()
    }
    expect((await byKey(stage, mission))['last']?.state).toBe('queued')
    for (const key of ['executing', 'elements'])
      expect(await act(stage, tasks[key] as Task, 'skip'), key).toMatchObject({
        status: 409,
        body: { code: 'conflict' },
      })
    expect((await act(stage, tasks['blocked'] as Task, 'skip')).status).toBe(409)
    for (const key of ['elements[0]', 'elements[1]', 'queued']) await act(stage, tasks[key] as Task, 'skip')
    await agent.complete(running)
    await agent.complete((await agent.claim())[0] as ClaimedTask)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed', output: { elements: [null, null] } })
    const letters = await stage.operator.call<{ items: DeadLetter[] }>('GET', '/v1/dead-letters')
    expect(letters.body.items).toMatchObject([{ key: 'paused', resolution: 'discarded' }])
    const audit = await stage.db.selectFrom('audit').selectAll().where('action', '=', 'task.skipped').execute()
    expect(audit).toHaveLength(8)
    expect(audit[0]).toMatchObject({ actor: stage.operator.subject, ref: tasks['blocked']?.id })
    await expectInvariants(stage.db)
  })

  test('cancels one task in whatever state; an attempt that runs is fenced at once', async ({ stage }) => {
    const { mission, agent, running } = await mixed(stage)
    const tasks = await byKey(stage, mission)
    for (const key of ['executing', 'scheduled', 'paused', 'waiting', 'queued', 'asked', 'elements[0]'])
      expect((await act(stage, tasks[key] as Task, 'cancel')).body.state, key).toBe('canceled')
    expect((await agent.complete(running)).status).toBe(409)
    expect((await byKey(stage, mission))['last']?.state).toBe('skipped')
    await act(stage, tasks['elements[1]'] as Task, 'cancel')
    expect((await byKey(stage, mission))['elements']?.state).toBe('canceled')
    expect((await stage.mission(mission.id)).state).toBe('failed')
    await expectInvariants(stage.db)
  })

  test('retries what is paused with fresh attempts, and what waits for its back-off now', async ({ stage }) => {
    const { mission, agent } = await mixed(stage)
    const tasks = await byKey(stage, mission)
    expect((await act(stage, tasks['paused'] as Task, 'retry')).body).toMatchObject({ state: 'queued', maxAttempts: 2 })
    expect((await act(stage, tasks['scheduled'] as Task, 'retry')).body).toMatchObject({
      state: 'queued',
      maxAttempts: 3,
    })
    for (const key of ['executing', 'queued', 'waiting', 'asked', 'blocked'])
      expect((await act(stage, tasks[key] as Task, 'retry')).status, key).toBe(409)
    const claimed = (await agent.claim()).map((task) => [task.key, task.attempt])
    expect(Object.fromEntries(claimed)).toMatchObject({ paused: 2, scheduled: 2 })
    const letters = await stage.operator.call<{ items: DeadLetter[] }>('GET', '/v1/dead-letters')
    expect(letters.body.items).toMatchObject([{ key: 'paused', resolution: 'replayed' }])
    await expectInvariants(stage.db)
  })

  test('and the agent, at once: one outcome, and nobody waits for the other in a circle', async ({
    stage,
    replica,
  }) => {
    const agent = await stage.agent(['work'], { slots: 100 })
    const mission = await stage.submit(
      crewOf('x', [{ id: 'a', forEach: Array.from({ length: 40 }, (_, index) => index) }], {
        policy: { onTaskFailure: 'continue' },
      }),
    )
    const claimed = await agent.claim({ max: 100 })
    expect(claimed).toHaveLength(40)
    const tasks = new Map((await stage.tasks(mission.id)).map((task) => [task.id, task]))
    const outcomes = await Promise.all(
      claimed.map(async (one, index) => {
        const where = index % 2 === 0 ? stage : replica
        const [reported, canceled] = await Promise.all([
          agent.complete(one),
          act(where, tasks.get(one.taskId) as Task, 'cancel'),
        ])
        return [reported.status, canceled.status].toSorted((x, y) => x - y).join()
      }),
    )
    expect(new Set(outcomes)).toEqual(new Set(['200,409']))
    expect((await stage.mission(mission.id)).tasks.open).toBe(0)
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  })

  test('needs the scope, and reaches only tasks of the own tenant', async ({ stage, tenant, secondTenant }) => {
    const mission = await stage.submit(crewOf('x', [{ id: 'a' }]))
    const [task] = (await stage.tasks(mission.id)) as [Task]
    const [reader, stranger] = [await stage.as(tenant, ['mission:read']), await stage.as(secondTenant)]
    for (const operation of ['cancel', 'retry', 'skip']) {
      expect((await reader.call('POST', `/v1/tasks/${task.id}:${operation}`)).status).toBe(403)
      expect((await stranger.call('POST', `/v1/tasks/${task.id}:${operation}`)).status).toBe(404)
      expect((await stage.operator.call('POST', `/v1/tasks/${newId()}:${operation}`)).status).toBe(404)
    }
    await expectInvariants(stage.db)
  })
})
