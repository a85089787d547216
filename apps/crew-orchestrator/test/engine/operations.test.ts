import type { ClaimedTask, DeadLetter, Mission, Operation, Task } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { PAUSED, auditOf, doAll, failedMissions, missionsOf } from './operating.ts'

const statesOf = async (stage: Stage, ids: readonly string[]): Promise<string[]> =>
  await Promise.all(ids.map(async (id) => (await stage.mission(id)).state))
const firstTasks = async (stage: Stage, ids: readonly string[]): Promise<Task[]> =>
  await Promise.all(ids.map(async (id) => (await stage.tasks(id))[0] as Task))
const all = (matched: number): Partial<Operation> => ({
  state: 'completed',
  matched,
  done: matched,
  skipped: 0,
  failed: 0,
  failures: [],
})

describe('done to many missions', () => {
  test('cancel, with the reason, and who it was for whom stands in the audit', async ({ stage }) => {
    const ids = await missionsOf(stage, ['one', 'two', 'one'])
    const operation = await doAll(stage, 'cancelMission', { crew: 'one' }, 'enough')
    expect(operation).toMatchObject({ ...all(2), reason: 'enough', createdBy: stage.operator.subject })
    expect(await statesOf(stage, ids)).toEqual(['canceled', 'submitted', 'canceled'])
    const act = { actor: stage.operator.subject, action: 'mission.cancel_requested' }
    expect(await auditOf(stage, operation)).toEqual([ids[0], ids[2]].map((ref) => ({ ...act, ref })))
    const events = await stage.events(ids[0] as string)
    expect(events.find(({ type }) => type === 'mission.cancel_requested')?.body).toEqual({ reason: 'enough' })
    const started = await stage.db.selectFrom('audit').selectAll().where('action', '=', 'operation.started').execute()
    expect(started).toMatchObject([
      {
        actor: stage.operator.subject,
        ref: operation.id,
        detail: { action: 'cancelMission', filter: { crew: 'one' }, matched: 2, reason: 'enough' },
      },
    ])
    await expectInvariants(stage.db)
  })

  test('pause, and resume: what waits is claimed again', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const ids = await missionsOf(stage, ['one', 'one', 'two'])
    expect(await doAll(stage, 'pauseMission', { crew: 'one' })).toMatchObject(all(2))
    expect(await statesOf(stage, ids)).toEqual(['paused', 'paused', 'submitted'])
    expect((await agent.claim()).map(({ missionId }) => missionId)).toEqual([ids[2]])
    const resumed = await doAll(stage, 'resumeMission', { all: true })
    expect(resumed).toMatchObject(all(2))
    expect(await agent.claim()).toHaveLength(2)
    expect((await auditOf(stage, resumed)).map(({ action }) => action)).toEqual(['mission.resumed', 'mission.resumed'])
    await expectInvariants(stage.db)
  })

  test('retry: each as a new mission, with who did it for whom in the audit', async ({ stage }) => {
    await failedMissions(stage, ['one', 'two', 'one'], { maxAttempts: 1 })
    const operation = await doAll(stage, 'retryMission', { crew: 'one', state: 'failed' })
    expect(operation).toMatchObject(all(2))
    const { items } = (await stage.operator.call<{ items: Mission[] }>('GET', '/v1/missions?state=submitted')).body
    const audit = await auditOf(stage, operation)
    expect(new Set(items.map(({ parentMissionId }) => parentMissionId))).toEqual(new Set(audit.map(({ ref }) => ref)))
    expect(items.map(({ crew, createdBy }) => [crew, createdBy])).toEqual([
      ['one', stage.operator.subject],
      ['one', stage.operator.subject],
    ])
    await expectInvariants(stage.db)
  })
})

describe('done to many tasks', () => {
  test('cancel: an attempt that runs is fenced, and what has ended stays', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const ids = await missionsOf(stage, ['one', 'one', 'two'])
    const [running] = (await agent.claim({ max: 1 })) as [ClaimedTask]
    const operation = await doAll(stage, 'cancelTask', { crew: 'one' }, 'wrong data')
    expect(operation).toMatchObject(all(2))
    expect((await firstTasks(stage, ids)).map(({ state }) => state)).toEqual(['canceled', 'canceled', 'queued'])
    expect((await agent.complete(running)).status).toBe(409)
    expect((await auditOf(stage, operation)).map(({ action }) => action)).toEqual(['task.canceled', 'task.canceled'])
    expect(await doAll(stage, 'cancelTask', { crew: 'one' })).toMatchObject(all(0))
    await expectInvariants(stage.db)
  })

  test('retry: paused ones with a fresh set of attempts', async ({ stage }) => {
    const agent = await failedMissions(stage, ['one', 'two', 'two'], PAUSED)
    expect(await doAll(stage, 'retryTask', { code: 'two' })).toMatchObject(all(2))
    const again = await agent.claim({ max: 10 })
    expect(again.map(({ crew, attempt }) => [crew, attempt])).toEqual([
      ['two', 2],
      ['two', 2],
    ])
    await expectInvariants(stage.db)
  })

  test('skip: what waits for them goes on; one that runs is no target', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const two = [{ id: 'a' }, { id: 'b', dependsOn: ['a'] }]
    const first = await stage.submit(crewOf('one', two))
    await agent.claim({ max: 1 })
    const second = await stage.submit(crewOf('one', two))
    expect(await doAll(stage, 'skipTask', { key: 'a' })).toMatchObject(all(1))
    expect((await stage.tasks(first.id)).map(({ state }) => state)).toEqual(['executing', 'blocked'])
    expect((await stage.tasks(second.id)).map(({ state }) => state)).toEqual(['skipped', 'queued'])
    await expectInvariants(stage.db)
  })
})

describe('done to many dead letters', () => {
  const open = async (stage: Stage): Promise<string[]> => {
    const { body } = await stage.operator.call<{ items: DeadLetter[] }>('GET', '/v1/dead-letters?open=true')
    return body.items.map(({ error }) => error.code)
  }

  test('replay: what fits goes on, each of them audited, and the rest stays', async ({ stage }) => {
    const agent = await failedMissions(stage, ['one', 'two', 'two', 'three'], PAUSED)
    const operation = await doAll(stage, 'replayDeadLetter', { crew: 'two' })
    expect(operation).toMatchObject(all(2))
    expect((await agent.claim()).map(({ crew, attempt }) => [crew, attempt])).toEqual([
      ['two', 2],
      ['two', 2],
    ])
    const longAgo = { code: 'three', createdBefore: '2001-01-01T00:00:00Z' }
    expect(await doAll(stage, 'replayDeadLetter', longAgo)).toMatchObject(all(0))
    expect(await doAll(stage, 'replayDeadLetter', { code: 'three', key: 'a' })).toMatchObject(all(1))
    expect(await open(stage)).toEqual(['one'])
    expect((await auditOf(stage, operation)).map(({ action }) => action)).toEqual([
      'deadletter.replayed',
      'deadletter.replayed',
    ])
    await expectInvariants(stage.db)
  })

  test('discard: paused tasks fail, and letters of tasks that have failed are closed', async ({ stage }) => {
    await failedMissions(stage, ['one', 'one'], PAUSED)
    await failedMissions(stage, ['two'], { maxAttempts: 1 })
    expect(await doAll(stage, 'replayDeadLetter', { crew: 'two' })).toMatchObject(all(0))
    expect(await doAll(stage, 'discardDeadLetter', { all: true })).toMatchObject(all(3))
    expect(await open(stage)).toEqual([])
    await expectInvariants(stage.db)
  })
})

test('one whose turn comes when it has gone on is skipped, and one that refuses is told with its reason', async ({
  stage,
}) => {
  // The tasks of a mission that one task takes along are canceled with it, and a forEach is not canceled over its elements.
  const chain = await stage.submit(crewOf('chain', [{ id: 'a' }, { id: 'b', dependsOn: ['a'] }]))
  const each = await stage.submit(crewOf('each', [{ id: 'a', forEach: [1, 2], input: '${item}' }]))
  const operation = await doAll(stage, 'cancelTask', { missionId: chain.id })
  expect(operation).toMatchObject({ state: 'completed', matched: 2, done: 1, skipped: 1, failed: 0 })
  const refused = await doAll(stage, 'cancelTask', { missionId: each.id, state: 'waiting' })
  const [parent] = (await stage.tasks(each.id)) as [Task]
  expect(refused).toMatchObject({ state: 'completed', matched: 1, done: 0, skipped: 0, failed: 1 })
  expect(refused.failures).toEqual([{ id: parent.id, code: 'conflict', message: 'its elements run; step in at those' }])
  await expectInvariants(stage.db)
})

test('twenty failures keep their reasons, and all are counted', async ({ stage }) => {
  const each = crewOf('each', [{ id: 'a', forEach: [1], input: '${item}' }])
  for (let count = 0; count < 22; count += 1) await stage.submit(each)
  const refused = await doAll(stage, 'cancelTask', { state: 'waiting' })
  expect(refused).toMatchObject({ matched: 22, failed: 22 })
  expect(refused.failures).toHaveLength(20)
})

describe('a filter', () => {
  /** Two missions that differ in everything that a filter can say. */
  async function two(stage: Stage): Promise<{ first: Mission; between: string }> {
    const agent = await stage.agent(['work', 'code.edit@gym-7'])
    const submit = async (crew: string, body: object, correlationId: string): Promise<Mission> =>
      (await stage.operator.call<Mission>('POST', '/v1/missions', body, { 'x-correlation-id': correlationId })).body
    const task = { id: 'a', retry: PAUSED }
    const first = await submit('one', { manifest: crewOf('one', [task]), labels: { team: 'red', day: '1' } }, 'cor-1')
    for (const claimed of await agent.claim()) await agent.fail(claimed, { code: 'first' })
    const { rows } = await stage.db.executeQuery<{ now: Date }>({
      ...stage.db.selectNoFrom(({ fn }) => fn<Date>('clock_timestamp').as('now')).compile(),
    })
    const pooled = {
      ...crewOf('two', []),
      spec: {
        process: 'dag',
        members: [{ id: 'm', skill: 'code.edit', pool: 'gym-7' }],
        tasks: [{ id: 'b', member: 'm', retry: { maxAttempts: 1, onExhausted: 'pause' } }],
      },
    }
    await submit('two', { manifest: pooled, labels: { team: 'blue' } }, 'cor-2')
    for (const claimed of await agent.claim()) await agent.fail(claimed, { code: 'second' })
    return { first, between: (rows[0] as { now: Date }).now.toISOString() }
  }

  test('finds by every one of its words, for each kind of target', async ({ stage }) => {
    const { first, between } = await two(stage)
    const shared = [
      { crew: 'one' },
      { labels: { team: 'red' } },
      { labels: { team: 'red', day: '1' } },
      { correlationId: 'cor-1' },
      { createdBefore: between },
    ]
    const ofTasks = [{ missionId: first.id }, { key: 'a' }, { queue: 'work' }, { skill: 'work' }, { code: 'first' }]
    const matched = async (action: string, filter: object): Promise<unknown> =>
      (await stage.operator.call<{ matched: number }>('POST', '/v1/operations', { action, filter, dryRun: true })).body
    for (const action of ['cancelMission', 'skipTask', 'replayDeadLetter']) {
      const own = action === 'cancelMission' ? [] : ofTasks
      expect(await matched(action, { all: true })).toEqual({ matched: 2 })
      for (const filter of [...shared, ...own])
        expect([action, filter, await matched(action, filter)]).toEqual([action, filter, { matched: 1 }])
      expect(await matched(action, { createdAfter: between })).toEqual({ matched: 1 })
      expect(await matched(action, { labels: { team: 'red', day: '2' } })).toEqual({ matched: 0 })
      expect(await matched(action, { crew: 'one', createdAfter: between })).toEqual({ matched: 0 })
    }
    expect(await matched('cancelMission', { state: 'running' })).toEqual({ matched: 2 })
    expect(await matched('cancelMission', { state: 'submitted' })).toEqual({ matched: 0 })
    expect(await matched('skipTask', { state: 'paused' })).toEqual({ matched: 2 })
    // A skill is found in whatever pool, a queue is one of a pool.
    expect(await matched('skipTask', { skill: 'code.edit' })).toEqual({ matched: 1 })
    expect(await matched('skipTask', { queue: 'code.edit' })).toEqual({ matched: 0 })
    expect(await matched('skipTask', { queue: 'code.edit@gym-7' })).toEqual({ matched: 1 })
    // Nothing of this was begun.
    expect((await stage.operator.call<{ items: unknown[] }>('GET', '/v1/operations')).body.items).toEqual([])
  })
})
