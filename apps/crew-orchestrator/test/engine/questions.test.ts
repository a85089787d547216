import type { Approval, ClaimedTask, Mission } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { crewOf, openStage, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const asked = async (stage: Stage, mission: Mission): Promise<Approval[]> =>
  (await stage.operator.call<{ items: Approval[] }>('GET', `/v1/approvals?missionId=${mission.id}&limit=100`)).body
    .items
const decide = async (
  stage: Stage,
  { id, hash }: Approval,
  verdict: 'approve' | 'reject' | 'edit',
  more: object = {},
) => await stage.operator.call('POST', `/v1/approvals/${id}:${verdict}`, { hash, ...more })
/** Each of these tasks asks in the middle of its work, all of them under the same name. */
const askAll = async (agent: AgentCaller, tasks: readonly ClaimedTask[], dataOf: (task: ClaimedTask) => unknown) => {
  for (const task of tasks)
    await agent.report({
      taskId: task.taskId,
      attempt: task.attempt,
      outcome: 'waiting',
      wait: { kind: 'approval', name: 'pay', title: 'Pay?', data: dataOf(task) },
    })
}
const wide = (each: readonly unknown[]): object =>
  crewOf('wide', [{ id: 'all', forEach: each, input: '${item}', retry: { initialInterval: '1ms' } }])

describe('questions that handlers ask', () => {
  test('of tasks side by side stand apart: each answer goes to the task that asked, the others wait on', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(wide(['x', 'y', 'z']))
    await askAll(agent, await agent.claim({ max: 3 }), (task) => ({ of: task.input }))
    const questions = new Map((await asked(stage, mission)).map((one) => [one.taskKey, one]))
    expect(questions.size).toBe(3)
    const middle = questions.get('all[1]') as Approval
    await decide(stage, middle, 'edit', { data: { of: 'edited' } })
    const [second, ...more] = (await agent.claim({ max: 3 })) as [ClaimedTask]
    expect(more).toEqual([])
    expect(second).toMatchObject({ input: 'y', attempt: 2 })
    expect(second.steps[0]?.response).toMatchObject({ approvalId: middle.id, data: { of: 'edited' } })
    const waiting = (await stage.tasks(mission.id)).filter((task) => task.state === 'input_required')
    expect(waiting.map((task) => task.key).toSorted()).toEqual(['all[0]', 'all[2]'])
    await decide(stage, questions.get('all[2]') as Approval, 'reject')
    await decide(stage, questions.get('all[0]') as Approval, 'approve')
    const rest = await agent.claim({ max: 3 })
    const told = new Map(rest.map((task) => [task.input, task.steps[0]?.response]))
    expect(told.get('x')).toMatchObject({ approved: true, data: { of: 'x' } })
    expect(told.get('z')).toMatchObject({ approved: false })
    for (const task of [second, ...rest]) await agent.complete(task)
    expect((await stage.mission(mission.id)).state).toBe('completed')
    await expectInvariants(stage.db)
  })

  test('of a task that is skipped are withdrawn, and those of the others stay open', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(wide(['x', 'y']))
    const tasks = await agent.claim({ max: 2 })
    await askAll(agent, tasks, (task) => task.input)
    const skipped = tasks.find((task) => task.input === 'x')
    expect((await stage.operator.call('POST', `/v1/tasks/${skipped?.taskId}:skip`)).status).toBe(200)
    const questions = new Map((await asked(stage, mission)).map((one) => [one.taskKey, one]))
    expect(questions.get('all[0]')?.state).toBe('withdrawn')
    expect(questions.get('all[1]')?.state).toBe('open')
    await decide(stage, questions.get('all[1]') as Approval, 'approve')
    for (const task of await agent.claim({ max: 2 })) await agent.complete(task, task.input)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed', output: { all: [null, 'y'] } })
    await expectInvariants(stage.db)
  })

  test('that have an answer are not asked again by a later attempt', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(crewOf('x', [{ id: 'a', retry: { initialInterval: '1ms' } }]))
    await askAll(agent, await agent.claim({ max: 1 }), () => 5)
    await decide(stage, (await asked(stage, mission))[0] as Approval, 'approve')
    const [answered] = (await agent.claim({ max: 1 })) as [ClaimedTask]
    await agent.report({ taskId: answered.taskId, attempt: answered.attempt, outcome: 'released' })
    const [again] = (await agent.claim({ max: 1 })) as [ClaimedTask]
    expect(answered.steps).toMatchObject([{ name: 'wait:pay', response: { approved: true } }])
    expect(again.attempt).toBe(answered.attempt + 1)
    expect(again.steps).toEqual(answered.steps)
    await agent.complete(again)
    expect(await asked(stage, mission)).toHaveLength(1)
    await expectInvariants(stage.db)
  })

  // Method: the process that stored the question is closed, and the agent that asked it falls silent.
  test('outlive the process that stored them and the agent that asked', async ({
    database,
    db,
    redisUrl,
    keys,
    tenant,
    settings,
    replica,
  }) => {
    const closers: (() => Promise<unknown> | void)[] = []
    const first = await openStage({ databaseUrl: database.url, db, redisUrl, keys, tenant, settings, closers })
    const agent = await first.agent(['work'])
    const mission = await first.submit(crewOf('x', [{ id: 'a' }]))
    await askAll(agent, await agent.claim({ max: 1 }), () => ({ amount: 5 }))
    for (const close of closers.reverse()) await close()
    await db.updateTable('agent_instances').set({ health: 'critical' }).where('id', '=', agent.instanceId).execute()

    const [question] = (await asked(replica, mission)) as [Approval]
    expect(question).toMatchObject({ state: 'open', title: 'Pay?', data: { amount: 5 } })
    expect((await decide(replica, question, 'approve')).status).toBe(200)
    const other = await replica.agent(['work'])
    const [task] = (await other.claim({ max: 1 })) as [ClaimedTask]
    expect(task.steps[0]?.response).toMatchObject({ approvalId: question.id, approved: true, data: { amount: 5 } })
    await other.complete(task)
    expect((await replica.mission(mission.id)).state).toBe('completed')
    await expectInvariants(db)
  })

  test('keep a mission from being over, in its state and for who waits for its end', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(crewOf('x', [{ id: 'a' }]))
    await askAll(agent, await agent.claim({ max: 1 }), () => null)
    const read = await stage.operator.call<Mission>('GET', `/v1/missions/${mission.id}`, undefined, {
      prefer: 'wait=1',
    })
    expect(read.body).toMatchObject({ state: 'running', tasks: { total: 1, open: 1 } })
    expect(read.body).not.toHaveProperty('endedAt')
    await decide(stage, (await asked(stage, mission))[0] as Approval, 'approve')
    expect((await stage.mission(mission.id)).state).toBe('running')
    await agent.complete(((await agent.claim({ max: 1 })) as [ClaimedTask])[0])
    expect((await stage.mission(mission.id)).state).toBe('completed')
    await expectInvariants(stage.db)
  })

  test('show any JSON as it was asked, and tell the handler the same', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const values: unknown[] = [
      null,
      0,
      -1.5e-7,
      '',
      'straße 😀 "quoted" ${tasks.a.output}',
      [],
      {},
      [[null]],
      { '': 1, constructor: { a: [1, '2', true] } },
    ]
    const mission = await stage.submit(wide(values.map((_, index) => index)))
    await askAll(agent, await agent.claim({ max: 10 }), (task) => values[task.input as number])
    const questions = await asked(stage, mission)
    expect(questions).toHaveLength(values.length)
    for (const [index, value] of values.entries()) {
      const question = questions.find((one) => one.taskKey === `all[${index}]`) as Approval
      expect(question.data, question.taskKey).toEqual(value)
      expect((await decide(stage, question, 'approve')).status).toBe(200)
    }
    for (const task of await agent.claim({ max: 10 }))
      expect(task.steps[0]?.response).toMatchObject({ approved: true, data: values[task.input as number] })
    await expectInvariants(stage.db)
  })
})
