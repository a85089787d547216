import { newId } from '@hypercode/contracts'
import type { ClaimedTask } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { completeAttempts, reportOf } from '../../src/engine/complete.ts'
import { crewOf, test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const SINGLE = crewOf('single', [{ id: 'only', retry: { initialInterval: '1ms' } }])

async function started(stage: Stage, count = 1): Promise<{ agent: AgentCaller; tasks: ClaimedTask[] }> {
  const agent = await stage.agent(['work'], { slots: 100 })
  for (let index = 0; index < count; index += 1) await stage.submit(SINGLE)
  const tasks: ClaimedTask[] = []
  while (tasks.length < count) tasks.push(...(await agent.claim({ max: 100 })))
  return { agent, tasks }
}

const stateOf = async (stage: Stage, task: ClaimedTask): Promise<string | undefined> =>
  (await stage.tasks(task.missionId))[0]?.state
const resultsOf = (answer: { body: { results: { status: string }[] } }): string[] =>
  answer.body.results.map((result) => result.status)

describe('a report that is repeated', () => {
  test('with the same output is a replay, with another one it is stale', async ({ stage }) => {
    const { agent, tasks } = await started(stage)
    const [task] = tasks as [ClaimedTask]
    expect(await agent.complete(task, { n: 1 })).toMatchObject({
      status: 200,
      body: { results: [{ taskId: task.taskId, attempt: 1, status: 'accepted', state: 'completed' }] },
    })
    expect(await agent.complete(task, { n: 1 })).toMatchObject({
      status: 200,
      body: { results: [{ status: 'replayed', state: 'completed' }] },
    })
    expect(await agent.complete(task, { n: 2 })).toMatchObject({ status: 409, body: { code: 'stale_attempt' } })
    expect(await agent.fail(task)).toMatchObject({ status: 409 })
    expect((await stage.mission(task.missionId)).output).toEqual({ only: { n: 1 } })
    await expectInvariants(stage.db)
  })

  test('of a failure is a replay too, and costs no second attempt', async ({ stage }) => {
    const { agent, tasks } = await started(stage)
    const [task] = tasks as [ClaimedTask]
    expect(resultsOf((await agent.fail(task)) as never)).toEqual(['accepted'])
    expect(resultsOf((await agent.fail(task)) as never)).toEqual(['replayed'])
    expect(await agent.complete(task)).toMatchObject({ status: 409 })
    expect((await stage.tasks(task.missionId))[0]).toMatchObject({ attempt: 1, error: { code: 'boom' } })
  })

  test('fifty times at once counts once', async ({ stage }) => {
    const { agent, tasks } = await started(stage)
    const [task] = tasks as [ClaimedTask]
    const statuses = (await Promise.all(Array.from({ length: 50 }, () => agent.complete(task, 7)))).flatMap(resultsOf)
    expect(statuses.filter((status) => status === 'accepted')).toHaveLength(1)
    expect(statuses.filter((status) => status === 'replayed')).toHaveLength(49)
    await expectInvariants(stage.db)
  })

  test('in the same transaction with another output: the first counts, the other is stale', async ({ stage }) => {
    const { agent, tasks } = await started(stage)
    const [task] = tasks as [ClaimedTask]
    const claim = { tenantId: agent.owner.id, subject: agent.subject, incarnation: 1, taskId: task.taskId, attempt: 1 }
    const report = (outcome: 'completed' | 'failed', output?: unknown) =>
      reportOf(claim, { taskId: task.taskId, attempt: 1, outcome, ...(output === undefined ? {} : { output }) })
    const { results } = await completeAttempts(stage.db, [
      report('completed', 1),
      report('completed', 2),
      report('failed'),
      report('completed', 1),
    ])
    expect(results.map((result) => result.status)).toEqual(['accepted', 'stale', 'stale', 'replayed'])
    await expectInvariants(stage.db)
  })
})

describe('the fence', () => {
  test('holds against other agents, other tenants and other attempts', async ({ stage, secondTenant }) => {
    const { agent, tasks } = await started(stage)
    const [task] = tasks as [ClaimedTask]
    const colleague = await stage.agent(['work'])
    const stranger = await stage.agent(['work'], { tenant: secondTenant })
    const person = await stage.operator.call('POST', '/v1/completions', {
      incarnation: 1,
      results: [{ taskId: task.taskId, attempt: 1, outcome: 'completed' }],
    })
    expect(person.status).toBe(409)
    for (const other of [colleague, stranger]) expect((await other.complete(task)).status).toBe(409)
    for (const attempt of [2, 99]) expect((await agent.complete({ ...task, attempt })).status).toBe(409)
    expect((await agent.complete({ ...task, taskId: newId() })).status).toBe(409)
    expect((await agent.report({ taskId: task.taskId, attempt: 1, outcome: 'completed' }, 2)).status).toBe(409)
    expect(await stateOf(stage, task)).toBe('executing')
    expect((await agent.complete(task)).status).toBe(200)
    await expectInvariants(stage.db)
  })

  test('shuts out an incarnation as soon as a newer one has registered', async ({ stage }) => {
    const { agent, tasks } = await started(stage)
    const [task] = tasks as [ClaimedTask]
    await sql`update agent_instances set incarnation = 2 where id = ${agent.instanceId}`.execute(stage.db)
    const late = { taskId: task.taskId, attempt: 1, outcome: 'completed' }
    expect((await agent.report(late, 1)).status).toBe(409)
    // Nor can the newer one speak for the older.
    expect((await agent.report(late, 2)).status).toBe(409)
    expect(await stateOf(stage, task)).toBe('executing')
  })

  test('shuts out an agent of the same name in another tenant', async ({ stage, secondTenant }) => {
    const { agent, tasks } = await started(stage)
    const [task] = tasks as [ClaimedTask]
    const stranger = await stage.adopt({ ...agent, owner: secondTenant })
    const progress = { incarnation: 1, attempt: 1, fraction: 1 }
    expect((await stranger.complete(task)).status).toBe(409)
    expect((await stranger.call('POST', `/v1/tasks/${task.taskId}/progress`, progress)).status).toBe(409)
    expect((await agent.complete(task)).status).toBe(200)
    await expectInvariants(stage.db)
  })

  test('shuts out an attempt after the next one began', async ({ stage }) => {
    const { agent, tasks } = await started(stage)
    const [task] = tasks as [ClaimedTask]
    await agent.report({ taskId: task.taskId, attempt: 1, outcome: 'released' })
    const [again] = (await agent.claim()) as [ClaimedTask]
    expect(again.attempt).toBe(2)
    expect((await agent.complete(task, 'late')).status).toBe(409)
    expect((await agent.complete(again, 'in time')).status).toBe(200)
    expect((await stage.mission(task.missionId)).output).toEqual({ only: 'in time' })
  })
})

describe('reports together', () => {
  test('a bad one harms no other', async ({ stage }) => {
    const { agent, tasks } = await started(stage, 4)
    const [a, b, c, d] = tasks as [ClaimedTask, ClaimedTask, ClaimedTask, ClaimedTask]
    await agent.complete(b, 'before')
    const answer = await agent.call<{ results: { status: string; state?: string }[] }>('POST', '/v1/completions', {
      incarnation: 1,
      results: [
        { taskId: a.taskId, attempt: 1, outcome: 'completed', output: 1 },
        { taskId: newId(), attempt: 1, outcome: 'completed' },
        { taskId: b.taskId, attempt: 1, outcome: 'completed', output: 'after' },
        { taskId: c.taskId, attempt: 2_147_483_647, outcome: 'completed' },
        { taskId: c.taskId, attempt: 1, outcome: 'rejected', error: { code: 'no', message: 'n', retryable: false } },
        { taskId: d.taskId, attempt: 1, outcome: 'failed', error: { code: 'x', message: 'm', retryable: true } },
      ],
    })
    expect(answer.status).toBe(200)
    expect(answer.body.results.map(({ status, state }) => [status, state])).toEqual([
      ['accepted', 'completed'],
      ['stale', undefined],
      ['stale', undefined],
      ['stale', undefined],
      ['accepted', 'rejected'],
      ['accepted', 'scheduled'],
    ])
    await expectInvariants(stage.db)
  })

  test('a thousand in one request', async ({ stage }) => {
    const items = Array.from({ length: 999 }, (_, index) => index)
    const mission = await stage.submit(crewOf('fan', [{ id: 'each', forEach: items, input: '${item}' }]))
    const agent = await stage.agent(['work'], { slots: 1000 })
    const tasks = await agent.claim({ max: 1000 })
    expect(tasks).toHaveLength(999)
    const { status } = await agent.call('POST', '/v1/completions', {
      incarnation: 1,
      results: tasks.map((task) => ({ taskId: task.taskId, attempt: 1, outcome: 'completed', output: task.input })),
    })
    expect(status).toBe(200)
    expect((await stage.mission(mission.id)).output).toEqual({ each: items })
    await expectInvariants(stage.db)
  })

  test('one that Postgres would refuse is refused at the door', async ({ stage }) => {
    const { agent, tasks } = await started(stage)
    const [task] = tasks as [ClaimedTask]
    const send = async (result: object): Promise<number> =>
      (await agent.report({ taskId: task.taskId, attempt: 1, outcome: 'completed', ...result })).status
    expect(await send({ attempt: 2_147_483_648 })).toBe(400)
    expect(await send({ attempt: 1e300 })).toBe(400)
    expect(await send({ attempt: 1.5 })).toBe(400)
    expect(await send({ output: 'a\u0000b' })).toBe(422)
    expect(await send({ output: { '\ud800': 1 } })).toBe(422)
    expect(await send({ outcome: 'failed', error: { code: 'x', message: '\udc00', retryable: true } })).toBe(422)
    expect((await agent.report({ taskId: task.taskId, attempt: 1, outcome: 'completed' }, 1e300)).status).toBe(400)
    expect(await send({ outcome: 'failed', error: { code: 'x', message: '😀'.repeat(8000), retryable: false } })).toBe(
      200,
    )
    expect((await stage.mission(task.missionId)).state).toBe('failed')
  })

  test('an output of any JSON comes back as it was', async ({ stage }) => {
    const outputs = [null, 0, -1.5e-7, '', 'straße 😀', [], {}, [[null]], { a: { b: [1, '2', true] } }]
    const { agent, tasks } = await started(stage, outputs.length)
    for (const [index, output] of outputs.entries()) await agent.complete(tasks[index] as ClaimedTask, output)
    for (const [index, output] of outputs.entries())
      expect((await stage.mission((tasks[index] as ClaimedTask).missionId)).output).toEqual({ only: output })
  })
})
