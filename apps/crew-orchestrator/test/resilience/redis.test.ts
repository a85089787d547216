import type { ClaimedTask, Mission } from '@hypercode/contracts'
import { makeKeys, openRedis, parseHints } from '@hypercode/events'
import { createFaultProxy, randomSecret, startPrivateStack, waitFor } from '@hypercode/testkit'
import type { Stack } from '@hypercode/testkit'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { startCrowd } from '../crowd.ts'
import { STILL, crewOf, openStage, test } from '../harness.ts'
import type { Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const CHAIN = crewOf('chain', [{ id: 'a' }, { id: 'b' }, { id: 'c', forEach: [1, 2, 3] }, { id: 'd' }], {
  process: 'sequential',
})

const outbox = async (stage: Stage): Promise<number> =>
  (await stage.db.selectFrom('outbox').select('id').execute()).length
const checks = async (stage: Stage): Promise<{ ready: boolean; checks: Record<string, { ok: boolean }> }> =>
  (await stage.orchestrator.app.inject('/readyz')).json()

describe('Redis unreachable from the beginning', () => {
  test.override({ settings: { REDIS_URL: `redis://:${randomSecret()}@127.0.0.1:9`, CLAIM_POLL_MS: '200' } })

  test('work moves by polls, from one replica to the other; the service is ready and says what is missing', async ({
    stage,
    replica,
  }) => {
    await waitFor(async () => (await checks(stage)).ready, { what: 'the service is ready' })
    expect((await checks(stage)).checks).toMatchObject({
      redis: { ok: false },
      stream: { ok: false },
      postgres: { ok: true },
    })
    // A claim that waits already has nothing but its own looks.
    const patient = await replica.agent(['rare'])
    const claim = patient.claim({ waitMs: 15_000 })
    await waitFor(() => replica.orchestrator.engine.desk.waiting === 1, { what: 'the claim waits' })
    const rare = await stage.submit(crewOf('rare', [{ id: 'a', skill: 'rare' }]))
    expect(await claim).toMatchObject([{ missionId: rare.id }])

    const crowd = startCrowd({
      agents: [await replica.agent(['work']), await replica.agent(['work'])],
      work: (agent, task) => agent.complete(task, 1),
    })
    const { body } = await stage.operator.call<Mission>(
      'POST',
      '/v1/missions',
      { manifest: CHAIN },
      { prefer: 'wait=20' },
    )
    await crowd.stop()
    expect(body.state).toBe('completed')
    // What could not be told waits in Postgres.
    expect(await outbox(stage)).toBeGreaterThan(0)
    await expectInvariants(stage.db)
  })
})

describe('Redis unreachable, and no poll for half a minute', () => {
  test.override({ settings: { ...STILL, REDIS_URL: `redis://:${randomSecret()}@127.0.0.1:9` } })

  test('a claim is woken by what is queued in its own replica: by a submit, and by a completion', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const waiting = async (): Promise<ClaimedTask> => {
      const claim = agent.claim({ waitMs: 20_000 })
      await waitFor(() => stage.orchestrator.engine.desk.waiting === 1, { what: 'the claim waits' })
      return (await claim)[0] as ClaimedTask
    }
    const first = waiting()
    await waitFor(() => stage.orchestrator.engine.desk.waiting === 1, { what: 'the claim waits' })
    await stage.submit(crewOf('two', [{ id: 'a' }, { id: 'b', dependsOn: ['a'] }]))
    const task = await first
    const second = waiting()
    await waitFor(() => stage.orchestrator.engine.desk.waiting === 1, { what: 'the claim waits' })
    await agent.complete(task)
    expect((await second).key).toBe('b')
  })
})

describe('a Redis of our own', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startPrivateStack()
  })
  afterAll(async () => await stack.stop())

  test('gone in the middle and back: nothing waits for it, and what was not told is told afterwards', async ({
    database,
    db,
    redisUrl,
    tenant,
  }) => {
    const proxy = await createFaultProxy(stack.redisUrl)
    const closers: (() => Promise<unknown> | void)[] = []
    const keys = makeKeys('outage')
    try {
      const settings = { REDIS_URL: proxy.through(stack.redisUrl), CLAIM_POLL_MS: '200' }
      const stage = await openStage({ databaseUrl: database.url, db, redisUrl, keys, tenant, settings, closers })
      const agent = await stage.agent(['work'])
      await waitFor(async () => (await checks(stage)).checks['stream']?.ok, { what: 'the stream is read' })
      const mission = await stage.submit(CHAIN)
      const [first] = (await agent.claim()) as [ClaimedTask]
      await waitFor(async () => (await outbox(stage)) === 0, { what: 'all was told' })
      await proxy.setMode('refuse')
      expect((await agent.complete(first)).status).toBe(200)
      for (let left = 5; left > 0; ) {
        const tasks = await agent.claim()
        for (const task of tasks) expect((await agent.complete(task, 1)).status).toBe(200)
        left -= tasks.length
      }
      expect((await stage.mission(mission.id)).state).toBe('completed')
      expect(await outbox(stage)).toBeGreaterThan(0)
      await proxy.setMode('pass')
      await waitFor(async () => (await outbox(stage)) === 0, { what: 'all was told', timeoutMs: 15_000 })
      expect(await lastTold(stack.redisUrl, keys.events, mission.id)).toEqual({
        seq: (await stage.events(mission.id)).length,
        ended: true,
      })
      await waitFor(async () => (await checks(stage)).checks['redis']?.ok, { what: 'Redis is back' })
      await expectInvariants(stage.db)
    } finally {
      for (const close of closers.reverse()) await close()
      await proxy.stop()
    }
  })

  test('emptied again and again in the middle of missions loses nothing', async ({
    database,
    db,
    redisUrl,
    tenant,
  }) => {
    const redis = openRedis({ url: stack.redisUrl, role: 'reader', onError: () => undefined })
    const closers: (() => Promise<unknown> | void)[] = []
    try {
      const settings = { REDIS_URL: stack.redisUrl, CLAIM_POLL_MS: '300' }
      const open = async (): Promise<Stage> =>
        await openStage({ databaseUrl: database.url, db, redisUrl, keys: makeKeys('flush'), tenant, settings, closers })
      const [stage, replica] = [await open(), await open()]
      const crowd = startCrowd({
        agents: [await stage.agent(['work']), await replica.agent(['work'])],
        work: (agent, task) => agent.complete(task, 1),
      })
      const flushing = (async () => {
        for (let turn = 0; turn < 20; turn += 1) {
          await redis.flushall()
          await new Promise((done) => setTimeout(done, 40))
        }
      })()
      const waits = Array.from({ length: 10 }, (_, index) =>
        (index % 2 === 0 ? stage : replica).operator.call<Mission>(
          'POST',
          '/v1/missions',
          { manifest: CHAIN },
          { prefer: 'wait=20' },
        ),
      )
      const ended = await Promise.all(waits)
      await Promise.all([flushing, crowd.stop()])
      expect(ended.map((answer) => answer.body.state)).toEqual(Array.from({ length: 10 }, () => 'completed'))
      expect(new Set(crowd.given.map((one) => one.taskId)).size).toBe(crowd.given.length)
      await waitFor(async () => (await outbox(stage)) === 0, { what: 'all was told', timeoutMs: 15_000 })
      await expectInvariants(stage.db)
    } finally {
      for (const close of closers.reverse()) await close()
      redis.disconnect()
    }
  })
})

/** The highest number that the stream has told of a mission, and whether it told its end. */
async function lastTold(url: string, stream: string, missionId: string): Promise<{ seq: number; ended: boolean }> {
  const redis = openRedis({ url, role: 'reader', onError: () => undefined })
  try {
    const entries = await redis.xrange(stream, '-', '+')
    const hints = entries
      .flatMap(([, fields]) => parseHints(fields[fields.indexOf('hints') + 1]))
      .flatMap((hint) => (hint.kind === 'mission' && hint.missionId === missionId ? [hint] : []))
    return { seq: Math.max(...hints.map((hint) => hint.seq)), ended: hints.some((hint) => hint.ended === true) }
  } finally {
    redis.disconnect()
  }
}
