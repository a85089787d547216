import type { ClaimedTask } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { states, step, take } from './flowing.ts'

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
