import type { ClaimedTask, Mission, Problem } from '@hypercode/contracts'
import { createTestTenant } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { costsOf, crew, resume, tasks, use } from './spending.ts'
import { turnSubCrews } from './sub-crew-turn.ts'

describe('where a budget is said', () => {
  const budgetOf = async (stage: Stage, id: string) => (await costsOf(stage, id)).budget

  test('a submit takes the place of its crew, also in a batch; without either there is none', async ({ stage }) => {
    const post = async (body: object) => (await stage.operator.call<Mission>('POST', '/v1/missions', body)).body.id
    const manifest = crew(1, { tokens: 10, onExhausted: 'pause' })
    expect(await budgetOf(stage, await post({ manifest }))).toEqual({ tokens: 10 })
    expect(await budgetOf(stage, await post({ manifest, budget: { usd: 2.5 } }))).toEqual({ usd: 2.5 })
    expect(await budgetOf(stage, await post({ manifest: crewOf('free', tasks(1)) }))).toBeUndefined()
    const { body } = await stage.operator.call<{ results: { id: string }[] }>('POST', '/v1/missions:batch', {
      missions: [{ manifest }, { manifest, budget: { tokens: 7 } }, { manifest: crewOf('free', tasks(1)) }],
    })
    const found = await Promise.all(body.results.map(async ({ id }) => await budgetOf(stage, id)))
    expect(found).toEqual([{ tokens: 10 }, { tokens: 7 }, undefined])
  })

  test('a retry has the limits of the mission that it does again, as they were raised, and has used nothing', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(crew(2, { tokens: 100 }))
    const [task] = (await agent.claim({ max: 1 })) as [ClaimedTask]
    await use(agent, task)
    await resume(stage, mission.id, { budget: { tokens: 180 } })
    await stage.operator.call('POST', `/v1/missions/${mission.id}:cancel`)
    await agent.report({ taskId: task.taskId, attempt: 1, outcome: 'canceled' })
    const { body: again } = await stage.operator.call<Mission>('POST', `/v1/missions/${mission.id}:retry`)
    expect(await budgetOf(stage, again.id)).toEqual({ tokens: 180 })
    const [once] = (await agent.claim({ max: 1 })) as [ClaimedTask]
    await use(agent, once)
    expect((await stage.mission(again.id)).state).toBe('running')
    await use(agent, once, {}, 'again')
    expect((await stage.mission(again.id)).state).toBe('paused')
    await expectInvariants(stage.db)
  })

  test.for([
    [{}, '/spec/policy/budget'],
    [{ onExhausted: 'pause' }, '/spec/policy/budget'],
    [{ tokens: 0 }, '/spec/policy/budget/tokens'],
    [{ tokens: 1.5 }, '/spec/policy/budget/tokens'],
    [{ usd: -1 }, '/spec/policy/budget/usd'],
    [{ usd: 1e-9 }, '/spec/policy/budget/usd'],
    [{ usd: '5' }, '/spec/policy/budget/usd'],
    [{ usd: 5, calls: 3 }, '/spec/policy/budget/calls'],
    [{ usd: 5, onExhausted: 'shrug' }, '/spec/policy/budget/onExhausted'],
  ] as const)('%j in a manifest is 422, with its place', async ([budget, pointer], { stage }) => {
    const stored = await stage.operator.call<Problem>('POST', '/v1/crews', crew(1, budget))
    expect(stored).toMatchObject({ status: 422, body: { code: 'manifest_invalid', faults: [{ pointer }] } })
    const inline = await stage.operator.call<Problem>('POST', '/v1/missions', { manifest: crew(1, budget) })
    expect(inline).toMatchObject({ status: 422, body: { faults: [{ pointer: `/manifest${pointer}` }] } })
  })

  test('what a submit or a resume says wrong is refused with its place', async ({ stage }) => {
    const manifest = crew(1, { tokens: 100 })
    for (const budget of [{}, { tokens: 0 }, { usd: 0 }, { calls: 1 }, 5])
      expect((await stage.operator.call('POST', '/v1/missions', { manifest, budget })).status).toBe(400)
    const { id } = await stage.submit(manifest)
    const free = await stage.submit(crewOf('free', tasks(1)))
    for (const [mission, budget, pointer] of [
      [id, { tokens: 99 }, '/budget/tokens'],
      [id, { usd: 1 }, '/budget/usd'],
      [free.id, { tokens: 1 }, '/budget'],
    ] as const)
      expect(await resume(stage, mission, { budget })).toMatchObject({
        status: 422,
        body: { code: 'unprocessable', faults: [{ pointer }] },
      })
    expect((await resume(stage, id, { budget: {} })).status).toBe(400)
    // One that is not paused is raised all the same.
    expect((await resume(stage, id, { budget: { tokens: 101 } })).status).toBe(200)
    expect(await budgetOf(stage, id)).toEqual({ tokens: 101 })
  })

  test('that of another tenant is not raised', async ({ stage, db }) => {
    const { id } = await stage.submit(crew(1, { tokens: 100 }))
    const foreign = await stage.as(await createTestTenant(db))
    const body = { budget: { tokens: 1000 } }
    expect((await foreign.call('POST', `/v1/missions/${id}:resume`, body)).status).toBe(404)
    expect(await budgetOf(stage, id)).toEqual({ tokens: 100 })
  })
})

test('a crew within is not begun while the mission around it has no budget left', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  await stage.operator.call('POST', '/v1/crews', crewOf('inner', tasks(1)))
  const mission = await stage.submit(
    crewOf('outer', [{ id: 'own' }, { id: 'other', member: undefined, crew: 'inner' }], {
      policy: { budget: { tokens: 100 } },
    }),
  )
  const [task] = (await agent.claim()) as [ClaimedTask]
  await use(agent, task)
  expect(await turnSubCrews(stage)).toBe(0)
  expect((await resume(stage, mission.id, { budget: { tokens: 200 } })).status).toBe(200)
  expect(await turnSubCrews(stage)).toBe(1)
  expect((await agent.claim()).map(({ key }) => key)).toEqual(['t0'])
  await expectInvariants(stage.db)
})
