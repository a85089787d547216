import { setTimeout as sleep } from 'node:timers/promises'
import type { Mission, Operation } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { cancelMission } from '../../src/engine/cancel.ts'
import { claimBatch, moveOn } from '../../src/store/operations.ts'
import { STILL, crewOf, test } from '../harness.ts'
import type { Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import {
  PAUSED,
  auditOf,
  begin,
  carriedOut,
  doAll,
  failedMissions,
  manyMissions,
  missionsOf,
  read,
  statesOf,
} from './operating.ts'

const DAY_MS = 86_400_000

/** Each target stands once in the audit, and the operation has counted all of them. */
async function expectEachOnce(stage: Stage, operation: Operation, count: number): Promise<void> {
  const refs = (await auditOf(stage, operation)).map(({ ref }) => ref)
  expect(new Set(refs).size).toBe(refs.length)
  expect({ ...operation, audited: refs.length }).toMatchObject({ done: count, failed: 0, audited: count })
  await expectInvariants(stage.db)
}
/** Lets what a replica that is gone has taken be taken by others. */
const forgetClaims = async ({ db }: Stage): Promise<void> =>
  void (await sql`update operations set claimed_until = now()`.execute(db))

describe('by parts', () => {
  test.override({ settings: { ...STILL, OPERATION_BATCH_MAX: '10' } })

  test('progress grows with every part', async ({ stage }) => {
    await manyMissions(stage, 'one', 100)
    const operation = await begin(stage, 'cancelMission', { crew: 'one' })
    expect(operation).toMatchObject({ state: 'running', matched: 100, done: 0 })
    const seen = new Set([operation.done])
    const end = carriedOut(stage, operation).then((ended) => ({ ended }))
    let over: { ended: Operation } | undefined
    while (over === undefined) {
      const { done, skipped, failed, matched, progressAt } = await read(stage, operation.id)
      expect(done).toBeGreaterThanOrEqual(Math.max(...seen))
      expect({ skipped, failed, matched }).toEqual({ skipped: 0, failed: 0, matched: 100 })
      expect(Date.parse(progressAt)).toBeGreaterThanOrEqual(Date.parse(operation.createdAt))
      seen.add(done)
      over = await Promise.race([end, sleep(10, undefined)])
    }
    expect(seen.size).toBeGreaterThan(3)
    await expectEachOnce(stage, over.ended, 100)
  })

  test('an abort stops it between two parts; what is done stays done', async ({ stage }) => {
    await manyMissions(stage, 'one', 200)
    const operation = await begin(stage, 'cancelMission', { all: true })
    const turn = stage.orchestrator.operations.turn()
    await waitFor(async () => (await read(stage, operation.id)).done > 0, { what: 'a first part', everyMs: 1 })
    const asked = await stage.operator.call<Operation>('POST', `/v1/operations/${operation.id}:abort`)
    expect(asked).toMatchObject({ status: 200, body: { state: 'aborting', abortedBy: stage.operator.subject } })
    await turn
    const ended = await carriedOut(stage, operation)
    expect(ended).toMatchObject({ state: 'aborted', matched: 200, abortedBy: stage.operator.subject })
    expect(ended.done).toBeLessThan(200)
    expect(await statesOf(stage)).toEqual({ canceled: ended.done, submitted: 200 - ended.done })
    expect(await stage.orchestrator.operations.turn()).toBe(0)
    // Twice changes nothing, and what has come to its end cannot be stopped.
    expect(await stage.operator.call('POST', `/v1/operations/${operation.id}:abort`)).toMatchObject({ body: ended })
    const rest = await doAll(stage, 'cancelMission', { all: true })
    expect(rest).toMatchObject({ matched: 200 - ended.done, state: 'completed' })
    expect((await stage.operator.call('POST', `/v1/operations/${rest.id}:abort`)).status).toBe(409)
    const audit = await stage.db
      .selectFrom('audit')
      .select('ref')
      .where('action', '=', 'operation.abort_requested')
      .execute()
    expect(audit).toEqual([{ ref: operation.id }])
    await expectEachOnce(stage, ended, ended.done)
  })

  test('operations take turns', async ({ stage }) => {
    await manyMissions(stage, 'one', 100)
    await missionsOf(stage, ['two'])
    const large = await begin(stage, 'cancelMission', { crew: 'one' })
    const small = await begin(stage, 'cancelMission', { crew: 'two' })
    const end = carriedOut(stage, large)
    await waitFor(async () => (await read(stage, small.id)).state === 'completed', {
      what: 'the small one',
      everyMs: 1,
    })
    expect((await read(stage, large.id)).state).toBe('running')
    await end
  })

  test('two replicas share the work and do nothing twice', async ({ stage, replica }) => {
    await manyMissions(stage, 'one', 150)
    const started = [
      await begin(stage, 'cancelMission', { crew: 'one' }),
      await begin(stage, 'pauseMission', { crew: 'two' }),
    ]
    const [cancel] = started as [Operation]
    await Promise.all([stage, replica, stage, replica].map(async (one) => one.orchestrator.operations.turn()))
    await expectEachOnce(stage, await carriedOut(replica, cancel), 150)
  })
})

describe('when a replica dies', () => {
  test.override({ settings: STILL })

  const options = { claimMs: 60_000, size: 100, longestMs: DAY_MS }

  test('another one goes on, and what was done stays counted and is not done again', async ({ stage, replica }) => {
    const ids = await missionsOf(stage, ['one', 'one', 'one', 'one'])
    const operation = await begin(stage, 'cancelMission', { crew: 'one' })
    // As it is when a replica has taken all of it, has done two, and is gone.
    const batch = await claimBatch(stage.db, options)
    expect(batch?.targets).toEqual(ids)
    for (const missionId of ids.slice(0, 2)) {
      const act = { tenantId: batch?.tenantId as string, actor: batch?.createdBy as string, reason: undefined }
      await cancelMission(stage.db, { ...act, missionId, via: `operation/${operation.id}` })
    }
    expect(await replica.orchestrator.operations.turn()).toBe(0)
    await forgetClaims(stage)
    await expectEachOnce(stage, await carriedOut(replica, operation), 4)
    expect((await read(stage, operation.id)).skipped).toBe(0)
  })

  test('what others did meanwhile counts as skipped', async ({ stage }) => {
    const [mine, others] = (await missionsOf(stage, ['one', 'one'])) as [string, string]
    const operation = await begin(stage, 'cancelMission', { crew: 'one' })
    await stage.operator.call('POST', `/v1/missions/${others}:cancel`)
    expect(await carriedOut(stage, operation)).toMatchObject({ done: 1, skipped: 1, failed: 0 })
    expect((await auditOf(stage, operation)).map(({ ref }) => ref)).toEqual([mine])
  })

  test('a mission is begun again once, though who did it could not say so', async ({ stage, replica }) => {
    await failedMissions(stage, ['one', 'one', 'one'], { maxAttempts: 1 })
    const operation = await begin(stage, 'retryMission', { crew: 'one' })
    const before = await sql<{ targets: string[] }>`select targets from operations`.execute(stage.db)
    await carriedOut(stage, operation)
    await sql`update operations set state = 'running', ended_at = null, position = 0, done = 0, targets = ${before.rows[0]?.targets}`.execute(
      stage.db,
    )
    await expectEachOnce(stage, await carriedOut(replica, operation), 3)
    expect(await statesOf(stage)).toEqual({ failed: 3, submitted: 3 })
    const { items } = (await stage.operator.call<{ items: Mission[] }>('GET', '/v1/missions?state=submitted')).body
    expect(new Set(items.map(({ parentMissionId }) => parentMissionId)).size).toBe(3)
  })

  test('one that comes back too late writes nothing over the other', async ({ stage }) => {
    await missionsOf(stage, ['one', 'one'])
    const operation = await begin(stage, 'cancelMission', { crew: 'one' })
    const late = await claimBatch(stage.db, options)
    await forgetClaims(stage)
    const ended = await carriedOut(stage, operation)
    const { position, done, skipped, failed, failures } = late as NonNullable<typeof late>
    const nothing = { position: position + 1, done, skipped: skipped + 1, failed, failures }
    await moveOn(stage.db, operation.id, position, nothing, { restMs: 0, longestMs: DAY_MS })
    expect(await read(stage, operation.id)).toEqual(ended)
  })
})

describe('what goes wrong', () => {
  test.override({ settings: { ...STILL, MISSIONS_OPEN_MAX: '4', OPERATION_BATCH_MAX: '1' } })

  test('an operation waits while the tenant has no room for another mission', async ({ stage }) => {
    await failedMissions(stage, ['one', 'one'], { maxAttempts: 1 })
    const body = { manifest: crewOf('two', [{ id: 'a' }]) }
    const begun: string[] = []
    // Those that have ended are counted for a moment longer.
    for (let count = 0; count < 3; count += 1) {
      const answer = await waitFor(
        async () => {
          const one = await stage.operator.call<Mission>('POST', '/v1/missions', body)
          return one.status === 202 && one.body.id
        },
        { what: 'room for a mission' },
      )
      begun.push(answer)
    }
    const operation = await begin(stage, 'retryMission', { crew: 'one' })
    const turn = async (): Promise<number> => stage.orchestrator.operations.turn()
    const soFar = { state: 'running', done: 1, skipped: 0, failed: 0 }
    await waitFor(async () => (await turn()) > 0 && (await read(stage, operation.id)).done === 1, { what: 'one' })
    await waitFor(async () => (await turn()) > 0, { what: 'another try' })
    expect(await read(stage, operation.id)).toMatchObject(soFar)
    // It rests, or a turn would go round in circles.
    const { rows } = await sql<{ rests: boolean }>`select claimed_until > turned_at as rests from operations`.execute(
      stage.db,
    )
    expect(rows).toEqual([{ rests: true }])
    await stage.operator.call('POST', `/v1/missions/${begun[0]}:cancel`)
    expect(await carriedOut(stage, operation)).toMatchObject({ state: 'completed', done: 2, failed: 0 })
  })

  test('an operation that has not ended after a day is given up', async ({ stage }) => {
    await missionsOf(stage, ['one', 'one'])
    const operation = await begin(stage, 'cancelMission', { crew: 'one' })
    await sql`update operations set created_at = now() - interval '25 hours'`.execute(stage.db)
    expect(await carriedOut(stage, operation)).toMatchObject({ state: 'failed', matched: 2, done: 0 })
    expect(await statesOf(stage)).toEqual({ submitted: 2 })
  })

  test('what breaks with us at one target stops no other, and does not say more than that', async ({ stage }) => {
    await failedMissions(stage, ['one', 'one', 'one'], PAUSED)
    const tasks = await stage.db.selectFrom('tasks').select('id').orderBy('id').execute()
    // A row that our decisions cannot read.
    await sql`update tasks set retry = 'null' where id = ${tasks[1]?.id}`.execute(stage.db)
    const operation = await doAll(stage, 'retryTask', { crew: 'one' })
    expect(operation).toMatchObject({ state: 'completed', matched: 3, done: 2, failed: 1 })
    expect(operation.failures).toEqual([
      { id: tasks[1]?.id, code: 'internal', message: 'Something failed on our side' },
    ])
  })
})

describe('by itself', () => {
  test('the service carries operations out', async ({ stage }) => {
    await missionsOf(stage, ['one', 'one'])
    const { id } = await begin(stage, 'cancelMission', { all: true })
    await waitFor(async () => (await read(stage, id)).state === 'completed', {
      what: 'the operation to be carried out',
      timeoutMs: 10_000,
    })
    expect(await read(stage, id)).toMatchObject({ done: 2 })
  })

  test('what a task began is retried with the mission of that task, and not beside it', async ({ stage }) => {
    await stage.operator.call('POST', '/v1/crews', crewOf('inner', [{ id: 'a', retry: { maxAttempts: 1 } }]))
    const outer = await stage.submit(crewOf('outer', [{ id: 'b', crew: 'inner', member: undefined }]))
    const agent = await stage.agent(['work'])
    for (const task of await agent.claim({ max: 1 })) await agent.fail(task)
    await waitFor(async () => (await stage.mission(outer.id)).state === 'failed', { what: 'both missions to fail' })
    expect(await statesOf(stage)).toEqual({ failed: 2 })
    const { id, matched } = await begin(stage, 'retryMission', { state: 'failed' })
    expect(matched).toBe(1)
    await waitFor(async () => (await read(stage, id)).done === 1, { what: 'the operation to be carried out' })
    const { items } = (await stage.operator.call<{ items: Mission[] }>('GET', '/v1/missions?crew=outer')).body
    expect(items.map(({ parentMissionId }) => parentMissionId)).toEqual([outer.id, undefined])
  })
})
