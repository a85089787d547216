import { newId } from '@hypercode/contracts'
import type { Artifact, ClaimedTask, Mission, Problem } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const again = async (stage: Stage, id: string, how: 'retry' | 'fork', body?: object, key?: string) =>
  await stage.operator.call<Mission & Problem>(
    'POST',
    `/v1/missions/${id}:${how}`,
    body,
    key === undefined ? {} : { 'idempotency-key': key },
  )
const states = async (stage: Stage, id: string): Promise<Record<string, string>> =>
  Object.fromEntries((await stage.tasks(id)).map((task) => [task.key, task.state]))
const one = async (agent: AgentCaller): Promise<ClaimedTask> => {
  const [task] = await agent.claim({ max: 1 })
  if (task === undefined) throw new Error('there is nothing to claim')
  return task
}

const CREW = crewOf('x', [
  { id: 'a', input: '${mission.input}' },
  { id: 'fan', dependsOn: ['a'], forEach: '${tasks.a.output}', input: '${item}' },
  { id: 'b', dependsOn: ['fan'], input: { sum: '${tasks.fan.output}', first: '${tasks.a.output[0]}' } },
  { id: 'c', dependsOn: ['b'], input: '${tasks.b.output}' },
])

/** A mission that has come as far as `b`, with an artifact of `a`. */
async function upToB(stage: Stage): Promise<{ agent: AgentCaller; mission: Mission; b: ClaimedTask }> {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(CREW, 'in')
  const a = await one(agent)
  const path = `/v1/tasks/${a.taskId}/artifacts/notes.txt?incarnation=${agent.incarnation}&attempt=1`
  expect((await agent.call('PUT', path, 'hello', { 'content-type': 'text/plain' })).status).toBe(201)
  await agent.complete(a, [1, 2])
  for (const element of await agent.claim()) await agent.complete(element, (element.input as number) * 10)
  return { agent, mission, b: await one(agent) }
}

describe('a retry', () => {
  test('is a new mission that keeps what was completed, with outputs and artifacts', async ({ stage }) => {
    const { agent, mission, b } = await upToB(stage)
    await agent.fail(b, { retryable: false })
    expect((await stage.mission(mission.id)).state).toBe('failed')
    const answer = await again(stage, mission.id, 'retry', undefined, 'k')
    expect(answer).toMatchObject({
      status: 202,
      body: { parentMissionId: mission.id, input: 'in', tasks: { total: 6, open: 2 } },
    })
    const next = answer.body
    expect(next.id).not.toBe(mission.id)
    expect(await states(stage, next.id)).toEqual({
      a: 'completed',
      fan: 'completed',
      'fan[0]': 'completed',
      'fan[1]': 'completed',
      b: 'queued',
      c: 'blocked',
    })
    const task = await one(agent)
    expect(task).toMatchObject({ missionId: next.id, key: 'b', attempt: 1, input: { sum: [10, 20], first: 1 } })
    const { body } = await stage.operator.call<{ items: Artifact[] }>('GET', `/v1/missions/${next.id}/artifacts`)
    expect(body.items).toMatchObject([{ taskKey: 'a', name: 'notes.txt' }])
    await agent.complete(task, 30)
    await agent.complete(await one(agent), 'end')
    expect(await stage.mission(next.id)).toMatchObject({ state: 'completed', output: { c: 'end' } })
    // The mission before is as it was, and the same request again is the same mission.
    expect((await stage.mission(mission.id)).state).toBe('failed')
    expect((await again(stage, mission.id, 'retry', undefined, 'k')).body.id).toBe(next.id)
    await expectInvariants(stage.db)
  })

  test('of a retry keeps what both have done, and the artifacts of the first', async ({ stage }) => {
    const { agent, mission, b } = await upToB(stage)
    await agent.fail(b, { retryable: false })
    const second = (await again(stage, mission.id, 'retry')).body
    await agent.complete(await one(agent), 30)
    await agent.fail(await one(agent), { retryable: false })
    const third = (await again(stage, second.id, 'retry')).body
    expect(await states(stage, third.id)).toMatchObject({ a: 'completed', b: 'completed', c: 'queued' })
    expect((await one(agent)).input).toBe(30)
    const { body } = await stage.operator.call<{ items: Artifact[] }>('GET', `/v1/missions/${third.id}/artifacts`)
    expect(body.items.map((artifact) => artifact.name)).toEqual(['notes.txt'])
    await expectInvariants(stage.db)
  })

  test('does again only the elements that did not succeed', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(
      crewOf('x', [{ id: 'fan', forEach: [1, 2, 3], input: '${item}' }], { policy: { onTaskFailure: 'continue' } }),
    )
    for (const element of await agent.claim()) {
      if (element.input === 2) await agent.fail(element, { retryable: false })
      else await agent.complete(element, element.input)
    }
    expect((await stage.mission(mission.id)).state).toBe('failed')
    const next = (await again(stage, mission.id, 'retry')).body
    const left = await agent.claim()
    expect(left.map((task) => task.key)).toEqual(['fan[1]'])
    await agent.complete(left[0] as ClaimedTask, 2)
    expect(await stage.mission(next.id)).toMatchObject({ state: 'completed', output: { fan: [1, 2, 3] } })
    await expectInvariants(stage.db)
  })

  test('is of the mission that is named, however many of its crew came and ended after it', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const crew = crewOf('x', [{ id: 'a', input: '${mission.input}' }])
    const [first, ...later] = [await stage.submit(crew, 1), await stage.submit(crew, 2), await stage.submit(crew, 3)]
    for (const task of await agent.claim()) {
      if (task.missionId === later[1]?.id) await agent.complete(task)
      else await agent.fail(task, { retryable: false })
    }
    const next = await again(stage, (first as Mission).id, 'retry')
    expect(next).toMatchObject({ status: 202, body: { parentMissionId: first?.id, input: 1 } })
    expect(await one(agent)).toMatchObject({ missionId: next.body.id, input: 1 })
    await expectInvariants(stage.db)
  })

  test('of a stored crew takes the version of the mission; a canceled one is retried too, an open or completed one is not', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    await stage.operator.call('POST', '/v1/crews', crewOf('stored', [{ id: 'a' }]))
    const { body: mission } = await stage.operator.call<Mission>('POST', '/v1/missions', {
      crew: 'stored',
      labels: { team: 'x' },
    })
    expect(await again(stage, mission.id, 'retry')).toMatchObject({ status: 409, body: { code: 'conflict' } })
    await stage.operator.call('POST', '/v1/crews', crewOf('stored', [{ id: 'a' }, { id: 'b' }]))
    await stage.operator.call('POST', `/v1/missions/${mission.id}:cancel`)
    const next = await again(stage, mission.id, 'retry')
    expect(next).toMatchObject({
      status: 202,
      body: { crew: 'stored', crewVersion: 1, labels: { team: 'x' }, tasks: { total: 1 } },
    })
    await agent.complete(await one(agent))
    expect((await again(stage, next.body.id, 'retry')).status).toBe(409)
    await expectInvariants(stage.db)
  })
})

describe('a fork', () => {
  test('begins at a task with another input, and does again what waits for it', async ({ stage }) => {
    const { agent, mission, b } = await upToB(stage)
    await agent.complete(b, 30)
    await agent.complete(await one(agent), 'end')
    const next = await again(stage, mission.id, 'fork', { from: 'b', input: { sum: [0], first: 0 } })
    expect(next).toMatchObject({ status: 202, body: { parentMissionId: mission.id } })
    expect(await states(stage, next.body.id)).toMatchObject({
      a: 'completed',
      fan: 'completed',
      b: 'queued',
      c: 'blocked',
    })
    const task = await one(agent)
    expect(task.input).toEqual({ sum: [0], first: 0 })
    await agent.complete(task, 0)
    expect((await one(agent)).input).toBe(0)
    await expectInvariants(stage.db)
  })

  test('from the first task keeps nothing; without an input that task has the one it had', async ({ stage }) => {
    const { agent, mission } = await upToB(stage)
    const next = await again(stage, mission.id, 'fork', { from: 'a' })
    expect(await states(stage, next.body.id)).toEqual({ a: 'queued', fan: 'blocked', b: 'blocked', c: 'blocked' })
    expect((await one(agent)).input).toBe('in')
    await expectInvariants(stage.db)
  })

  test('from a task that is not there, or with an input for elements, is refused; so are missions of others', async ({
    stage,
    secondTenant,
  }) => {
    const { mission } = await upToB(stage)
    for (const body of [{ from: 'nothing' }, { from: 'fan', input: 1 }])
      expect(await again(stage, mission.id, 'fork', body)).toMatchObject({
        status: 422,
        body: { code: 'unprocessable' },
      })
    const stranger = await stage.as(secondTenant)
    for (const id of [mission.id, newId()]) {
      expect((await stranger.call('POST', `/v1/missions/${id}:retry`)).status).toBe(404)
      expect((await stranger.call('POST', `/v1/missions/${id}:fork`, { from: 'a' })).status).toBe(404)
    }
    await expectInvariants(stage.db)
  })
})
