import type { ClaimedTask, Mission, Problem } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { explainKey, onlyShut } from '../explain/explaining.ts'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { UNDO, cancel, failedTrip, one, states, undoAll } from './undoing.ts'

// Goal: what a mission has done is undone the other way round before it ends. Method: agents work and fail through the API; the rules of
// the database are looked at after each course.
describe('a mission that fails', () => {
  test('undoes what was completed, the last first, and ends when that is over', async ({ stage }) => {
    const { agent, mission } = await failedTrip(stage)
    const waiting = stage.operator.call<Mission>('GET', `/v1/missions/${mission.id}`, undefined, { prefer: 'wait=30' })
    const undoing = await stage.mission(mission.id)
    expect(undoing).toMatchObject({ state: 'running', tasks: { total: 5, open: 2 } })
    expect(undoing.compensatingAt).toBeDefined()
    const first = await one(agent)
    expect(first).toMatchObject({ key: 'b:compensate', skill: 'undo', input: { cancel: 'B' } })
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    await agent.complete(first)
    const second = await one(agent)
    expect(second).toMatchObject({ key: 'a:compensate', input: { input: null, output: 'A' } })
    await agent.complete(second)
    expect((await waiting).body).toMatchObject({ state: 'failed', error: { code: 'boom' } })
    expect((await waiting).body.output).toEqual({})
    const told = (await stage.events(mission.id)).map(({ type }) => type)
    expect(told.slice(told.indexOf('mission.compensating'))).toEqual([
      'mission.compensating',
      ...['task.queued', 'task.claimed', 'task.completed', 'task.queued', 'task.claimed', 'task.completed'],
      'mission.failed',
    ])
    await expectInvariants(stage.db)
  })

  test('tries a compensation again while it is being canceled, and no grace or deadline ends it', async ({ stage }) => {
    const manifest = crewOf(
      'trip',
      [
        { id: 'a', compensate: UNDO },
        { id: 'b', dependsOn: ['a'] },
      ],
      {
        policy: { onTaskFailure: 'continue', deadline: '1h' },
      },
    )
    const agent = await stage.agent(['work', 'undo'])
    const mission = await stage.submit(manifest)
    await agent.complete(await one(agent))
    await agent.fail(await one(agent), { retryable: false })
    await agent.fail(await one(agent), { code: 'busy', retryAfterMs: 0 })
    await stage.db
      .updateTable('missions')
      .set({ deadline_at: new Date(0) })
      .execute()
    await sweep(stage)
    expect((await stage.mission(mission.id)).cancelRequestedAt).toBeUndefined()
    await cancel(stage, mission.id)
    await stage.db
      .updateTable('tasks')
      .set({ available_at: new Date(0) })
      .where('state', '=', 'scheduled')
      .execute()
    await sweep(stage, { cancelGraceMs: 0 })
    const again = await one(agent)
    expect(again).toMatchObject({ key: 'a:compensate', attempt: 2 })
    await sweep(stage, { cancelGraceMs: 0 })
    await cancel(stage, mission.id)
    expect(await states(stage, mission.id)).toMatchObject({ 'a:compensate': 'executing' })
    expect((await agent.complete(again)).body.results).toMatchObject([{ status: 'accepted' }])
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'failed', error: { code: 'boom' } })
    await expectInvariants(stage.db)
  })

  test('says what it could not undo, and undoes the rest', async ({ stage }) => {
    const { agent, mission } = await failedTrip(stage)
    await agent.fail(await one(agent), { code: 'gone', message: 'too late', retryable: false })
    expect(await undoAll(agent)).toEqual(['a:compensate'])
    const ended = await stage.mission(mission.id)
    expect(ended).toMatchObject({ state: 'failed', error: { code: 'compensation_failed' } })
    expect(ended.error?.message).toBe('boom: task c: it broke; task b is not undone: too late')
    const letters = await stage.operator.call<{ items: { key: string }[] }>(
      'GET',
      `/v1/dead-letters?missionId=${mission.id}`,
    )
    expect(letters.body.items.map(({ key }) => key)).toEqual(['b:compensate', 'c'])
    await expectInvariants(stage.db)
  })

  test('waits for a person when the policy of a compensation says so', async ({ stage }) => {
    const retry = { maxAttempts: 1, onExhausted: 'pause' }
    const { agent, mission } = await failedTrip(
      stage,
      crewOf('trip', [
        { id: 'a', compensate: UNDO },
        { id: 'b', dependsOn: ['a'], compensate: { ...UNDO, retry } },
        { id: 'c', dependsOn: ['b'] },
      ]),
    )
    const failed = await one(agent)
    await agent.fail(failed)
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    expect((await stage.operator.call('POST', `/v1/tasks/${failed.taskId}:retry`)).status).toBe(200)
    await agent.fail(await one(agent))
    expect((await stage.operator.call('POST', `/v1/tasks/${failed.taskId}:skip`)).status).toBe(200)
    expect(await undoAll(agent)).toEqual(['a:compensate'])
    expect((await stage.mission(mission.id)).error).toMatchObject({ code: 'boom' })
    await expectInvariants(stage.db)
  })
})

describe('what is undone', () => {
  test('each element of a forEach by itself', async ({ stage }) => {
    const agent = await stage.agent(['work', 'undo'])
    const mission = await stage.submit(
      crewOf('each', [
        { id: 'book', forEach: ['x', 'y'], input: '${item}', compensate: { ...UNDO, input: '${tasks.book.output}' } },
        { id: 'pay', dependsOn: ['book'] },
      ]),
    )
    const [x, y] = (await agent.claim()) as [ClaimedTask, ClaimedTask]
    await agent.complete(y, 'Y')
    await agent.complete(x, 'X')
    await agent.fail(await one(agent), { retryable: false })
    const undoX = await one(agent)
    expect(undoX).toMatchObject({ key: 'book[0]:compensate', input: 'X' })
    await agent.complete(undoX)
    expect(await undoAll(agent)).toEqual(['book[1]:compensate'])
    expect((await stage.mission(mission.id)).tasks).toEqual({ total: 6, open: 0 })
    await expectInvariants(stage.db)
  })

  test('is done again by a retry of the mission, with all that waited for it; what a person skipped is kept', async ({
    stage,
  }) => {
    const crew = crewOf('trip', [
      { id: 'a', compensate: UNDO },
      { id: 'b', dependsOn: ['a'], compensate: UNDO },
      { id: 'c', dependsOn: ['b'] },
      { id: 'd', dependsOn: ['c'] },
    ])
    const agent = await stage.agent(['work', 'undo'])
    const mission = await stage.submit(crew)
    for (const key of ['a', 'b', 'c']) await agent.complete(await one(agent), key)
    await agent.fail(await one(agent), { retryable: false })
    await agent.complete(await one(agent))
    const undoA = (await stage.tasks(mission.id)).find(({ key }) => key === 'a:compensate')
    await stage.operator.call('POST', `/v1/tasks/${undoA?.id}:skip`)
    expect((await stage.mission(mission.id)).state).toBe('failed')
    const again = await stage.operator.call<Mission & Problem>('POST', `/v1/missions/${mission.id}:retry`)
    expect(again.status, JSON.stringify(again.body)).toBe(202)
    expect(await states(stage, again.body.id)).toEqual({ a: 'completed', b: 'queued', c: 'blocked', d: 'blocked' })
    // What it keeps is undone by nobody else than the mission that has done it.
    await agent.fail(await one(agent), { retryable: false })
    expect(await stage.mission(again.body.id)).toMatchObject({ state: 'failed', tasks: { total: 4, open: 0 } })
    await expectInvariants(stage.db)
  })

  test('writes under the fence of its attempt like every task', async ({ stage }) => {
    const { agent } = await failedTrip(stage)
    const { taskId } = await one(agent)
    const intent = async (attempt: number): Promise<number> =>
      (
        await agent.call('PUT', `/v1/tasks/${taskId}/effects/refund`, {
          incarnation: agent.incarnation,
          attempt,
          state: 'intent',
          idempotent: true,
        })
      ).status
    expect([await intent(2), await intent(1)]).toEqual([409, 201])
  })
})

describe('explain', () => {
  test('a compensation waits for the one before it, and the cancel of its mission does not hold it', async ({
    stage,
  }) => {
    const { agent, mission } = await failedTrip(stage)
    expect(await explainKey(stage, mission.id, 'b:compensate')).toMatchObject({ verdict: 'claimable' })
    const gate = onlyShut(await explainKey(stage, mission.id, 'a:compensate'), 'dependencies')
    expect(gate.holders).toMatchObject([{ kind: 'task', name: 'b:compensate' }])
    expect(await undoAll(agent)).toEqual(['b:compensate', 'a:compensate'])
  })
})
