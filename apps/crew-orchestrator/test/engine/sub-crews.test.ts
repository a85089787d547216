import type { ClaimedTask, Crew, Fault, Mission, Task } from '@hypercode/contracts'
import { expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { turnSubCrews } from './sub-crew-turn.ts'

const store = async (stage: Stage, manifest: object): Promise<Crew> => {
  const answer = await stage.operator.call<Crew>('POST', '/v1/crews', manifest)
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return answer.body
}
const missions = async (stage: Stage, crew: string): Promise<Mission[]> =>
  (await stage.operator.call<{ items: Mission[] }>('GET', `/v1/missions?crew=${crew}`)).body.items
const task = async (stage: Stage, missionId: string, key: string): Promise<Task | undefined> =>
  (await stage.tasks(missionId)).find((one) => one.key === key)

const inner = crewOf('inner', [{ id: 'work', input: '${mission.input}' }])
const outer = (more: Record<string, unknown> = {}, crew = 'inner@1'): object =>
  crewOf('outer', [
    { id: 'plan' },
    { id: 'build', crew, member: undefined, dependsOn: ['plan'], input: { of: '${tasks.plan.output}' }, ...more },
    { id: 'tell', dependsOn: ['build'], input: '${tasks.build.output}' },
  ])

test('a task with a crew waits for a mission of its own and has its output', async ({ stage }) => {
  await store(stage, inner)
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(outer(), null, { 'x-correlation-id': 'order-7' })
  await agent.complete(((await agent.claim()) as [ClaimedTask])[0], 'a plan')
  expect(await task(stage, mission.id, 'build')).toMatchObject({
    state: 'waiting',
    reason: 'crew inner@1 does its work',
  })
  // Two replicas at once begin it once.
  await Promise.all([turnSubCrews(stage), turnSubCrews(stage)])
  const [child, ...more] = (await missions(stage, 'inner')) as [Mission]
  expect(more).toEqual([])
  expect(child).toMatchObject({ input: { of: 'a plan' }, correlationId: 'order-7', crewVersion: 1 })
  expect(child.parentTaskId).toBe((await task(stage, mission.id, 'build'))?.id)
  expect(await turnSubCrews(stage)).toBe(0)
  const [work] = (await agent.claim()) as [ClaimedTask]
  expect(work).toMatchObject({ missionId: child.id, input: { of: 'a plan' } })
  await agent.complete(work, 'built')
  await Promise.all([turnSubCrews(stage), turnSubCrews(stage)])
  const [tell] = (await agent.claim()) as [ClaimedTask]
  expect(tell.input).toEqual({ work: 'built' })
  await agent.complete(tell)
  expect((await stage.mission(mission.id)).state).toBe('completed')
  await expectInvariants(stage.db)
})

test('the failure of the crew is the failure of the task, and says which mission it was', async ({ stage }) => {
  await store(stage, inner)
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(outer())
  await agent.complete(((await agent.claim()) as [ClaimedTask])[0])
  await turnSubCrews(stage)
  const [work] = (await agent.claim()) as [ClaimedTask]
  await agent.fail(work, { code: 'boom', retryable: false })
  await turnSubCrews(stage)
  const failed = await stage.mission(mission.id)
  expect(failed).toMatchObject({ state: 'failed', error: { code: 'boom' } })
  expect(failed.error?.message).toContain(`mission ${work.missionId} of crew inner ended failed`)
  await expectInvariants(stage.db)
})

test('each element of a forEach has a mission of its own, and one that fails may be null', async ({ stage }) => {
  await store(stage, inner)
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(
    outer({ forEach: [1, 2, 3], input: '${item}', onChildFailure: 'continue' }, 'inner'),
  )
  await agent.complete(((await agent.claim()) as [ClaimedTask])[0])
  expect(await turnSubCrews(stage)).toBe(3)
  const works = (await agent.claim()).toSorted((a, b) => Number(a.input) - Number(b.input))
  expect(works.map(({ input }) => input)).toEqual([1, 2, 3])
  await agent.fail(works[1] as ClaimedTask, { retryable: false })
  for (const one of [works[0], works[2]] as ClaimedTask[]) await agent.complete(one, one.input)
  await turnSubCrews(stage)
  const [tell] = (await agent.claim()) as [ClaimedTask]
  expect(tell.input).toEqual([{ work: 1 }, null, { work: 3 }])
  expect((await stage.mission(mission.id)).state).toBe('running')
  await expectInvariants(stage.db)
})

test('a cancel goes down to the missions within', async ({ stage }) => {
  await store(stage, inner)
  await store(stage, crewOf('middle', [{ id: 'in', crew: 'inner', member: undefined }]))
  const mission = await stage.submit(crewOf('outer', [{ id: 'in', crew: 'middle', member: undefined }]))
  await turnSubCrews(stage)
  await turnSubCrews(stage)
  expect((await missions(stage, 'inner'))[0]?.state).toBe('submitted')
  await stage.operator.call('POST', `/v1/missions/${mission.id}:cancel`)
  // Down to the innermost, and back: each waits for what the one within it may have to undo.
  for (let turns = 0; (await turnSubCrews(stage)) > 0; turns += 1) expect(turns).toBeLessThan(10)
  for (const crew of ['outer', 'middle', 'inner'])
    expect(await missions(stage, crew), crew).toMatchObject([{ state: 'canceled' }])
  expect(await turnSubCrews(stage)).toBe(0)
  await expectInvariants(stage.db)
})

test('a crew within itself ends at the fifth, and one that does not exist fails its task', async ({ stage }) => {
  await store(stage, crewOf('loop', [{ id: 'again', crew: 'loop', member: undefined }]))
  await stage.submit(crewOf('start', [{ id: 'go', crew: 'loop', member: undefined }]))
  for (let turns = 0; (await turnSubCrews(stage)) > 0; turns += 1) expect(turns).toBeLessThan(30)
  expect(await missions(stage, 'loop')).toHaveLength(5)
  expect((await missions(stage, 'start'))[0]).toMatchObject({ state: 'failed', error: { code: 'crew_too_deep' } })
  const lost = await stage.submit(crewOf('lost', [{ id: 'go', crew: 'nowhere', member: undefined }]))
  await turnSubCrews(stage)
  expect((await stage.mission(lost.id)).error).toMatchObject({ code: 'crew_unknown' })
  await expectInvariants(stage.db)
})

test('a task has a member or a crew, and a crew is tried by its own rules', async ({ stage }) => {
  const answer = await stage.operator.call<{ faults: Fault[] }>('POST', '/v1/missions', {
    manifest: crewOf('x', [
      { id: 'a', member: undefined },
      { id: 'b', crew: 'inner', retry: { maxAttempts: 2 } },
    ]),
  })
  expect(answer.status).toBe(422)
  expect(answer.body.faults.map(({ pointer }) => pointer)).toEqual([
    '/manifest/spec/tasks/0',
    '/manifest/spec/tasks/1/member',
    '/manifest/spec/tasks/1/retry',
  ])
})

test('a mission within that a person cancels by itself ends the task that waits for it', async ({ stage }) => {
  await store(stage, inner)
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(outer())
  await agent.complete(((await agent.claim()) as [ClaimedTask])[0])
  await turnSubCrews(stage)
  const [child] = (await missions(stage, 'inner')) as [Mission]
  await stage.operator.call('POST', `/v1/missions/${child.id}:cancel`)
  expect((await stage.mission(child.id)).state).toBe('canceled')
  await turnSubCrews(stage)
  const ended = await stage.mission(mission.id)
  expect(ended).toMatchObject({ state: 'failed', tasks: { open: 0 } })
  expect(ended.error?.message).toContain(`mission ${child.id} of crew inner ended canceled`)
  expect(await turnSubCrews(stage)).toBe(0)
  await expectInvariants(stage.db)
})
