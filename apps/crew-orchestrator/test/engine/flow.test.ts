import type { ClaimedTask, Mission } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const states = async (stage: Stage, id: string): Promise<Record<string, string>> =>
  Object.fromEntries((await stage.tasks(id)).map((task) => [task.key, task.state]))

async function take(agent: AgentCaller, ...keys: string[]): Promise<ClaimedTask[]> {
  const tasks = await agent.claim({ max: 100, waitMs: keys.length === 0 ? 0 : 5000 })
  expect(tasks.map((task) => task.key).sort()).toEqual(keys.toSorted())
  return tasks
}

async function step(agent: AgentCaller, key: string, output: unknown = null): Promise<void> {
  const [task] = (await take(agent, key)) as [ClaimedTask]
  expect((await agent.complete(task, output)).status).toBe(200)
}

describe('when', () => {
  test('false skips the task, and what waits for it sees that it was skipped', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(
      crewOf('x', [
        { id: 'look' },
        { id: 'fix', dependsOn: ['look'], when: '${tasks.look.output.faults} > 0' },
        {
          id: 'tell',
          dependsOn: ['fix', 'look'],
          when: "${tasks.fix.state} == 'skipped'",
          input: ['${tasks.fix.state}', '${tasks.fix.output}', '${tasks.look.output.faults}'],
        },
        { id: 'never', dependsOn: ['fix'], when: "${tasks.fix.state} != 'skipped'" },
      ]),
    )
    await step(agent, 'look', { faults: 0 })
    const [tell] = (await take(agent, 'tell')) as [ClaimedTask]
    expect(tell.input).toEqual(['skipped', null, 0])
    await agent.complete(tell)
    expect(await states(stage, mission.id)).toEqual({
      look: 'completed',
      fix: 'skipped',
      tell: 'completed',
      never: 'skipped',
    })
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed', output: { tell: null } })
    await expectInvariants(stage.db)
  })

  test('decided by the input of the mission ends a mission at its birth', async ({ stage }) => {
    const crew = crewOf('x', [
      { id: 'a', when: '${mission.input.go}' },
      { id: 'b', dependsOn: ['a'], when: '${mission.input.go}' },
    ])
    const mission = await stage.submit(crew, { go: false })
    expect(mission).toMatchObject({ state: 'completed', tasks: { total: 2, open: 0 } })
    expect(await states(stage, mission.id)).toEqual({ a: 'skipped', b: 'skipped' })
    await expectInvariants(stage.db)
  })

  test('a reference that leads nowhere fails the task with words, and the mission with it', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(
      crewOf('x', [{ id: 'a' }, { id: 'b', dependsOn: ['a'], input: '${tasks.a.output.missing}' }]),
    )
    await step(agent, 'a', { there: 1 })
    expect(await stage.mission(mission.id)).toMatchObject({
      state: 'failed',
      error: { code: 'reference_unresolved', message: expect.stringContaining('tasks.a.output has no "missing"') },
    })
    await expectInvariants(stage.db)
  })
})

describe('forEach', () => {
  const overList = (more: Record<string, unknown> = {}, spec: Record<string, unknown> = {}): object =>
    crewOf(
      'fan',
      [
        { id: 'list' },
        { id: 'each', dependsOn: ['list'], forEach: '${tasks.list.output}', input: '${item}', ...more },
        { id: 'sum', dependsOn: ['each'], input: '${tasks.each.output}' },
      ],
      spec,
    )

  test('of an empty list is done at once', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(overList())
    await step(agent, 'list', [])
    const [sum] = (await take(agent, 'sum')) as [ClaimedTask]
    expect(sum.input).toEqual([])
    await agent.complete(sum, 0)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed', tasks: { total: 3, open: 0 } })
    await expectInvariants(stage.db)
  })

  test('of something that is no list fails the task', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(overList())
    await step(agent, 'list', { not: 'a list' })
    expect((await stage.mission(mission.id)).error).toMatchObject({
      message: 'task each: forEach needs a list, not object',
    })
    await expectInvariants(stage.db)
  })

  test('an element that fails ends the others that wait, under policy fail', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(overList())
    await step(agent, 'list', [1, 2, 3])
    const [first, second] = (await agent.claim({ max: 2 })) as [ClaimedTask, ClaimedTask]
    await agent.fail(first, { retryable: false })
    expect(await states(stage, mission.id)).toMatchObject({
      each: 'canceled',
      'each[0]': 'failed',
      'each[1]': 'executing',
      'each[2]': 'canceled',
      sum: 'canceled',
    })
    await agent.complete(second)
    expect((await stage.mission(mission.id)).state).toBe('failed')
    await expectInvariants(stage.db)
  })

  test('an element that fails lets the others go on, under policy continue', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(overList({}, { policy: { onTaskFailure: 'continue' } }))
    await step(agent, 'list', [1, 2, 3])
    const tasks = await take(agent, 'each[0]', 'each[1]', 'each[2]')
    await agent.fail(tasks[0] as ClaimedTask, { retryable: false })
    expect((await states(stage, mission.id))['each']).toBe('waiting')
    for (const task of tasks.slice(1)) await agent.complete(task)
    expect(await states(stage, mission.id)).toMatchObject({ each: 'failed', sum: 'skipped' })
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'failed', error: { code: 'boom' } })
    await expectInvariants(stage.db)
  })

  test('an element that fails is null in the list and fails nothing else, with onChildFailure: continue', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(overList({ onChildFailure: 'continue' }))
    await step(agent, 'list', [1, 2, 3, 4])
    const tasks = await take(agent, 'each[0]', 'each[1]', 'each[2]', 'each[3]')
    const [first, second, third, fourth] = tasks as [ClaimedTask, ClaimedTask, ClaimedTask, ClaimedTask]
    await agent.fail(first, { retryable: false })
    await agent.report({ taskId: third.taskId, attempt: 1, outcome: 'rejected' })
    expect((await stage.mission(mission.id)).state).toBe('running')
    // The last two end in one transaction: what has just failed there is null as well.
    const error = { code: 'boom', message: 'm', retryable: false }
    await agent.call('POST', '/v1/completions', {
      incarnation: 1,
      results: [
        { taskId: second.taskId, attempt: 1, outcome: 'completed', output: 'two' },
        { taskId: fourth.taskId, attempt: 1, outcome: 'failed', error },
      ],
    })
    const [sum] = (await take(agent, 'sum')) as [ClaimedTask]
    expect(sum.input).toEqual([null, 'two', null, null])
    await agent.complete(sum)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed' })
    const letters = await stage.operator.call<{ items: { key: string }[] }>('GET', '/v1/dead-letters?open=true')
    expect(letters.body.items.map(({ key }) => key).sort()).toEqual(['each[0]', 'each[2]', 'each[3]'])
    await expectInvariants(stage.db)
  })

  test('two thousand elements run and are joined in order', async ({ stage }) => {
    const agent = await stage.agent(['work'], { slots: 1000 })
    const mission = await stage.submit(overList({ input: '${index}' }))
    const list = Array.from({ length: 2000 }, (_, index) => index)
    await step(agent, 'list', list)
    for (let done = 0; done < 2000; ) {
      const tasks = await agent.claim({ max: 1000 })
      await agent.call('POST', '/v1/completions', {
        incarnation: 1,
        results: tasks.map((task) => ({ taskId: task.taskId, attempt: 1, outcome: 'completed', output: task.input })),
      })
      done += tasks.length
    }
    const [sum] = (await take(agent, 'sum')) as [ClaimedTask]
    expect(sum.input).toEqual(list)
    expect(await stage.mission(mission.id)).toMatchObject({ tasks: { total: 2003, open: 1 } })
    await expectInvariants(stage.db)
  })

  test('a list, or inputs, beyond any measure fail the task instead of the service', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const long = await stage.submit(overList())
    await step(
      agent,
      'list',
      Array.from({ length: 10_001 }, () => 0),
    )
    expect((await stage.mission(long.id)).error?.message).toContain('10001 elements')
    const wide = await stage.submit(overList({ input: { all: '${tasks.list.output}', one: '${item}' } }))
    await step(
      agent,
      'list',
      Array.from({ length: 5000 }, (_, index) => `element ${index}`),
    )
    expect((await stage.mission(wide.id)).error?.message).toContain('the inputs have more than')
    const many = Array.from({ length: 3 }, (_, index) => ({ id: `f${index}`, forEach: '${mission.input}' }))
    const tasks = await stage.submit(
      crewOf('many', many),
      Array.from({ length: 9000 }, () => 0),
    )
    expect(tasks.error?.message).toContain('more than 20000 tasks')
    await expectInvariants(stage.db)
  })
})

describe('a failed task', () => {
  const crew = (policy: Record<string, unknown>): object =>
    crewOf(
      'x',
      [
        { id: 'bad' },
        { id: 'after', dependsOn: ['bad'] },
        { id: 'last', dependsOn: ['after'] },
        { id: 'side' },
        { id: 'idle' },
      ],
      { policy },
    )
  const failBad = async (stage: Stage, mission: Mission): Promise<[AgentCaller, ClaimedTask]> => {
    const agent = await stage.agent(['work'])
    const [bad] = (await agent.claim({ max: 1 })) as [ClaimedTask]
    const [side] = (await agent.claim({ max: 1 })) as [ClaimedTask]
    expect([bad.key, side.key, bad.missionId]).toEqual(['bad', 'side', mission.id])
    await agent.fail(bad, { retryable: false })
    return [agent, side]
  }

  test('under policy fail: what waits is canceled, what runs is told and may end', async ({ stage }) => {
    const mission = await stage.submit(crew({ onTaskFailure: 'fail' }))
    const [agent, side] = await failBad(stage, mission)
    expect(await states(stage, mission.id)).toEqual({
      bad: 'failed',
      after: 'canceled',
      last: 'canceled',
      side: 'executing',
      idle: 'canceled',
    })
    expect((await stage.mission(mission.id)).cancelRequestedAt).toBeDefined()
    await agent.complete(side, 'kept')
    expect(await stage.mission(mission.id)).toMatchObject({
      state: 'failed',
      error: { code: 'boom', message: 'task bad: it broke' },
      output: { side: 'kept' },
    })
    await expectInvariants(stage.db)
  })

  test('under policy continue: only what hangs on it is left out, near and far', async ({ stage }) => {
    const mission = await stage.submit(crew({ onTaskFailure: 'continue' }))
    const [agent, side] = await failBad(stage, mission)
    expect(await states(stage, mission.id)).toMatchObject({ after: 'skipped', last: 'skipped', idle: 'queued' })
    await agent.complete(side)
    await step(agent, 'idle')
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'failed', error: { code: 'boom' } })
    expect((await stage.tasks(mission.id)).find((task) => task.key === 'last')).toMatchObject({
      error: { code: 'dependency_failed' },
      reason: 'after ended skipped',
    })
    await expectInvariants(stage.db)
  })

  test('in one transaction with the failure of a colleague: nothing is counted twice', async ({ stage }) => {
    const mission = await stage.submit(
      crewOf('x', [{ id: 'a' }, { id: 'b' }, { id: 'c', dependsOn: ['a', 'b'] }], {
        policy: { onTaskFailure: 'continue' },
      }),
    )
    const agent = await stage.agent(['work'])
    const tasks = await take(agent, 'a', 'b')
    await agent.call('POST', '/v1/completions', {
      incarnation: 1,
      results: tasks.map((task) => ({
        taskId: task.taskId,
        attempt: 1,
        outcome: 'failed',
        error: { code: 'boom', message: 'm', retryable: false },
      })),
    })
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'failed', tasks: { total: 3, open: 0 } })
    await expectInvariants(stage.db)
  })
})

test('a sequence runs one task after another, a parallel crew all at once', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  await stage.submit(crewOf('s', [{ id: 'a' }, { id: 'b' }, { id: 'c' }], { process: 'sequential' }))
  for (const key of ['a', 'b', 'c']) await step(agent, key)
  await stage.submit(crewOf('p', [{ id: 'a' }, { id: 'b' }, { id: 'c' }], { process: 'parallel' }))
  await take(agent, 'a', 'b', 'c')
})

test('correlation id and trace of the submit go with every task', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const mission = await stage.submit(crewOf('x', [{ id: 'a' }]), null, { 'x-correlation-id': 'order-77', traceparent })
  const [task] = (await take(agent, 'a')) as [ClaimedTask]
  expect(mission.correlationId).toBe('order-77')
  expect(task.correlationId).toBe('order-77')
  expect(task.traceparent).toContain('0af7651916cd43dd8448eb211c80319c')
})
