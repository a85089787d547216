import { newId } from '@hypercode/contracts'
import type { ClaimedTask, MissionCosts, Problem } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { STILL, crewOf, sweep, test as base } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const test = base.extend('settings', { ...STILL, TASK_OUTPUT_MAX_CHARS: '1000' })

async function started(stage: Stage): Promise<{ agent: AgentCaller; task: ClaimedTask }> {
  const agent = await stage.agent(['work'])
  await stage.submit(crewOf('x', [{ id: 'a' }]))
  const [task] = (await agent.claim()) as [ClaimedTask]
  return { agent, task }
}

const call = { model: 'small', inputTokens: 1000, outputTokens: 50, usd: 0.1 }
const use = async (agent: AgentCaller, task: ClaimedTask, body: object) =>
  await agent.call<Problem>('POST', `/v1/tasks/${task.taskId}/usage`, {
    incarnation: agent.incarnation,
    attempt: task.attempt,
    ...call,
    ...body,
  })
const say = async (agent: AgentCaller, task: ClaimedTask, text: string) =>
  await agent.call<Problem>('POST', `/v1/tasks/${task.taskId}/output`, {
    incarnation: agent.incarnation,
    attempt: task.attempt,
    text,
  })
const costsOf = async (stage: Stage, missionId: string): Promise<MissionCosts> =>
  (await stage.operator.call<MissionCosts>('GET', `/v1/missions/${missionId}/costs`)).body

describe('the costs of a mission', () => {
  test('are nothing before a model was used', async ({ stage }) => {
    const { task } = await started(stage)
    const nothing = { calls: 0, inputTokens: 0, outputTokens: 0, usd: 0 }
    expect(await costsOf(stage, task.missionId)).toEqual({ missionId: task.missionId, total: nothing, tasks: [] })
  })

  test('are added up per task and model, without an error of rounding', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(crewOf('x', [{ id: 'b' }, { id: 'a' }, { id: 'idle' }]))
    const tasks = await agent.claim()
    const taskOf = (key: string) => tasks.find((task) => task.key === key) as ClaimedTask
    for (let n = 0; n < 10; n += 1) expect((await use(agent, taskOf('a'), { key: `${n}` })).status).toBe(204)
    await use(agent, taskOf('a'), { key: 'large', model: 'large', inputTokens: 2_000_000_000, usd: 2.5 })
    await use(agent, taskOf('b'), { key: 'large', model: 'large', inputTokens: 2_000_000_000, usd: 0.000_000_001 })
    const costs = await costsOf(stage, mission.id)
    // Ten times 0.1 is 1 in decimals and 0.9999999999999999 in doubles.
    const small = { calls: 10, inputTokens: 10_000, outputTokens: 500, usd: 1 }
    const large = { calls: 1, inputTokens: 2_000_000_000, outputTokens: 50 }
    expect(costs.total).toEqual({ calls: 12, inputTokens: 4_000_010_000, outputTokens: 600, usd: 3.500000001 })
    expect(costs.tasks).toEqual([
      {
        taskId: taskOf('a').taskId,
        key: 'a',
        calls: 11,
        inputTokens: 2_000_010_000,
        outputTokens: 550,
        usd: 3.5,
        models: [
          { model: 'large', ...large, usd: 2.5 },
          { model: 'small', ...small },
        ],
      },
      {
        taskId: taskOf('b').taskId,
        key: 'b',
        ...large,
        usd: 0.000_000_001,
        models: [{ model: 'large', ...large, usd: 0.000_000_001 }],
      },
    ])
    await expectInvariants(stage.db)
  })

  // Goal: a number that was reported counts once. Method: the same report twenty times at two replicas, then again by the next attempt.
  test('count a key once, whoever repeats it and however often', async ({ stage, replica }) => {
    const { agent, task } = await started(stage)
    const elsewhere = await replica.adopt(agent)
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => use(n % 2 === 0 ? agent : elsewhere, task, { key: 'plan' })),
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]))
    await agent.fail(task, { retryAfterMs: 0 })
    await stage.db
      .updateTable('tasks')
      .set({ available_at: new Date(0) })
      .where('id', '=', task.taskId)
      .execute()
    await sweep(stage)
    const [again] = (await agent.claim()) as [ClaimedTask]
    expect(again.attempt).toBe(2)
    expect((await use(agent, again, { key: 'plan', inputTokens: 7 })).status).toBe(204)
    expect((await use(agent, again, { key: 'edit' })).status).toBe(204)
    expect((await use(agent, task, { key: 'late' })).status).toBe(409)
    const { total } = await costsOf(stage, task.missionId)
    expect(total).toEqual({ calls: 2, inputTokens: 2000, outputTokens: 100, usd: 0.2 })
    await expectInvariants(stage.db)
  })

  test('take no number that is none', async ({ stage }) => {
    const { agent, task } = await started(stage)
    for (const bad of [{}, { key: '' }, { key: 'x', usd: -1 }, { key: 'x', inputTokens: 1.5 }, { key: 'x', model: '' }])
      expect([bad, (await use(agent, task, bad)).status]).toEqual([bad, 400])
  })
})

describe('output', () => {
  test('becomes events in order, and keeps the attempt alive', async ({ stage }) => {
    const { agent, task } = await started(stage)
    for (const text of ['Hel', 'lo ', '😀']) expect((await say(agent, task, text)).status).toBe(204)
    const told = (await stage.events(task.missionId)).filter((event) => event.type === 'task.output')
    expect(told.map(({ body }) => body)).toEqual(['Hel', 'lo ', '😀'].map((text) => ({ key: 'a', attempt: 1, text })))
    await expectInvariants(stage.db)
  })

  test('is bounded per task, over all its attempts, and has no hole', async ({ stage }) => {
    const { agent, task } = await started(stage)
    expect((await say(agent, task, 'x'.repeat(600))).status).toBe(204)
    await agent.report({ taskId: task.taskId, attempt: 1, outcome: 'released' })
    const [again] = (await agent.claim()) as [ClaimedTask]
    expect((await say(agent, again, 'y'.repeat(400))).status).toBe(204)
    for (const text of ['z'.repeat(16_384), '!'])
      expect(await say(agent, again, text)).toMatchObject({
        status: 409,
        body: { code: 'conflict', detail: 'A task brings out at most 1000 characters as events.' },
      })
    const told = (await stage.events(task.missionId)).filter((event) => event.type === 'task.output')
    expect(told.map(({ body }) => String(body['text']).length)).toEqual([600, 400])
    expect((await agent.complete(again)).status).toBe(200)
    await expectInvariants(stage.db)
  })

  test('that is empty or too long for one piece is refused', async ({ stage }) => {
    const { agent, task } = await started(stage)
    for (const text of ['', 'x'.repeat(16_385)]) expect((await say(agent, task, text)).status).toBe(400)
  })
})

test('a task that its agent refuses is rejected, and says why', async ({ stage }) => {
  const { agent, task } = await started(stage)
  const message = 'no model configured'
  await agent.report({
    taskId: task.taskId,
    attempt: 1,
    outcome: 'rejected',
    error: { code: 'rejected', message, retryable: false },
  })
  expect(await stage.tasks(task.missionId)).toMatchObject([
    { state: 'rejected', reason: `rejected: ${message}`, error: { code: 'rejected', message } },
  ])
  expect(await stage.mission(task.missionId)).toMatchObject({ state: 'failed', error: { code: 'rejected' } })
  await expectInvariants(stage.db)
})

test('costs of a mission that is not there are not there', async ({ stage, secondTenant }) => {
  const { task } = await started(stage)
  const stranger = await stage.as(secondTenant)
  for (const [caller, id] of [
    [stranger, task.missionId],
    [stage.operator, newId()],
  ] as const)
    expect((await caller.call('GET', `/v1/missions/${id}/costs`)).status).toBe(404)
})
