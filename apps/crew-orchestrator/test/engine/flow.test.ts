import type { ClaimedTask, Mission } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { states, step, take } from './flowing.ts'

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
