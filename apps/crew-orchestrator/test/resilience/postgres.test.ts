import { newId } from '@hypercode/contracts'
import type { ClaimedTask, Mission, Problem, SubmitBatchAnswer } from '@hypercode/contracts'
import { createFaultProxy, waitFor } from '@hypercode/testkit'
import type { FaultProxy } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { createBrake } from '../../src/domain/brake.ts'
import { handedOver, waiting } from '../handing.ts'
import { crewOf, openStage, stillTest as base, sweep } from '../harness.ts'
import type { AgentCaller, Answer, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

/** An orchestrator whose way to PgBouncer breaks on command; the test itself has a way of its own. */
const test = base
  .extend('proxy', async ({ database }, { onCleanup }) => {
    const proxy = await createFaultProxy(database.url)
    onCleanup(async () => await proxy.stop())
    return proxy
  })
  .extend('cut', async ({ database, db, redisUrl, keys, tenant, proxy, settings }, { onCleanup }) => {
    const closers: (() => Promise<unknown> | void)[] = []
    onCleanup(async () => {
      await proxy.setMode('pass')
      for (const close of closers.reverse()) await close()
    })
    expect(database.url).not.toBe(proxy.through(database.url))
    return await openStage({ databaseUrl: proxy.through(database.url), db, redisUrl, keys, tenant, settings, closers })
  })

const SINGLE = crewOf('single', [{ id: 'a' }])
/** The server does what is asked, and the caller cannot know. */
const loseReplyOf = (proxy: FaultProxy, statement: string): Promise<void> =>
  proxy.cutReply((request) => request.includes(statement))

const missionsIn = async (stage: Stage): Promise<number> =>
  (await stage.db.selectFrom('missions').select('id').execute()).length

async function started(stage: Stage): Promise<{ agent: AgentCaller; task: ClaimedTask }> {
  const agent = await stage.agent(['work'])
  await stage.submit(SINGLE)
  const [task] = (await agent.claim()) as [ClaimedTask]
  return { agent, task }
}

describe('a reply of Postgres that is lost', () => {
  test('after a submit: the mission is there once, with a key and without one', async ({ cut, proxy }) => {
    for (const headers of [{ 'idempotency-key': 'k' }, {}]) {
      const before = await missionsIn(cut)
      const lost = loseReplyOf(proxy, 'insert into missions')
      const answer = await cut.operator.call<Mission>('POST', '/v1/missions', { manifest: SINGLE }, headers)
      await lost
      expect([answer.status, answer.headers['idempotency-replayed']]).toEqual([202, undefined])
      expect(await missionsIn(cut)).toBe(before + 1)
      expect((await cut.tasks(answer.body.id)).map((task) => task.state)).toEqual(['queued'])
    }
    await expectInvariants(cut.db)
  })

  test('after a batch: each is there once, and none is called a replay', async ({ cut, proxy }) => {
    const missions = Array.from({ length: 20 }, (_, index) => ({
      manifest: SINGLE,
      ...(index % 2 === 0 ? {} : { idempotencyKey: `k${index}` }),
    }))
    const lost = loseReplyOf(proxy, 'insert into missions')
    const { status, body } = await cut.operator.call<SubmitBatchAnswer>('POST', '/v1/missions:batch', { missions })
    await lost
    expect(status).toBe(200)
    expect(body.results.every((result) => result.id !== undefined && !result.replayed)).toBe(true)
    expect(await missionsIn(cut)).toBe(20)
    await expectInvariants(cut.db)
  })

  test('after a claim: the agent gets its attempts, once', async ({ cut, proxy }) => {
    const agent = await cut.agent(['work'])
    await cut.submit(SINGLE)
    const lost = loseReplyOf(proxy, 'insert into attempts')
    expect(await agent.claim()).toMatchObject([{ attempt: 1 }])
    await lost
    expect(await cut.db.selectFrom('attempts').selectAll().execute()).toHaveLength(1)
    await expectInvariants(cut.db)
  })

  test('after a submit that handed its task over: the claim that waits gets it, once', async ({ cut, proxy }) => {
    for (const headers of [{ 'idempotency-key': 'k' }, {}]) {
      const { answer } = await waiting(cut, await cut.agent(['work']))
      const lost = loseReplyOf(proxy, 'insert into missions')
      const { status, body } = await cut.operator.call<Mission>('POST', '/v1/missions', { manifest: SINGLE }, headers)
      await lost
      expect([status, body.state]).toEqual([202, 'running'])
      expect(await answer).toMatchObject([{ missionId: body.id, attempt: 1 }])
      expect(await handedOver(cut, body.id)).toEqual({ a: true })
    }
    expect(await missionsIn(cut)).toBe(2)
    expect(await cut.db.selectFrom('attempts').selectAll().execute()).toHaveLength(2)
    await expectInvariants(cut.db)
  })

  test('after a report that handed the next task over: the claim that waits gets it, once', async ({ cut, proxy }) => {
    const chain = crewOf('chain', [{ id: 'a' }, { id: 'b', dependsOn: ['a'], input: '${tasks.a.output}' }])
    for (const statement of ['update attempts', 'commit']) {
      const agent = await cut.agent(['work'])
      const mission = await cut.submit(chain)
      const [task] = (await agent.claim()) as [ClaimedTask]
      const { answer } = await waiting(cut, agent)
      const lost = loseReplyOf(proxy, statement)
      expect((await agent.complete(task, 7)).status).toBe(200)
      await lost
      expect(await answer).toMatchObject([{ missionId: mission.id, key: 'b', attempt: 1, input: 7 }])
      expect(await handedOver(cut, mission.id)).toEqual({ a: false, b: true })
    }
    expect(await cut.db.selectFrom('attempts').selectAll().execute()).toHaveLength(4)
    await expectInvariants(cut.db)
  })

  // Goal: no claim is lost with a statement that fails. Method: the way to Postgres is gone while a claim is lent.
  test('or that never came: the claims that were lent hear of it, and those that come next are served', async ({
    cut,
    proxy,
  }) => {
    const agent = await cut.agent(['work'])
    const claimId = newId()
    const claim = { claimId, incarnation: 1, max: 10, waitMs: 20_000 }
    const lent = agent.call('POST', '/v1/claims', claim)
    await waitFor(() => cut.orchestrator.engine.desk.waiting === 1, { what: 'a waiting claim' })
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    await proxy.setMode('refuse')
    expect((await cut.operator.call('POST', '/v1/missions', { manifest: SINGLE })).status).toBe(503)
    // A submit that fails before it lends anything wakes nobody; a claim that was not given back would not hear this.
    cut.orchestrator.engine.desk.wake([{ tenantId: agent.owner.id, queue: 'work' }])
    expect((await lent).status).toBe(503)
    expect(cut.orchestrator.engine.desk.waiting).toBe(0)
    await proxy.setMode('pass')
    const { answer } = await waiting(cut, agent, { claimId })
    const mission = await cut.submit(SINGLE)
    expect(await answer).toMatchObject([{ missionId: mission.id, attempt: 1 }])
    await expectInvariants(cut.db)
  })

  test('after a completion, or its commit: the result is there once', async ({ cut, proxy }) => {
    for (const statement of ['update attempts', 'commit']) {
      const { agent, task } = await started(cut)
      const lost = loseReplyOf(proxy, statement)
      const { status, body } = await agent.complete(task, 7)
      await lost
      expect(status).toBe(200)
      expect(['accepted', 'replayed']).toContain(body.results[0]?.status)
      expect(await cut.mission(task.missionId)).toMatchObject({ state: 'completed', output: { a: 7 } })
    }
    await expectInvariants(cut.db)
  })

  test('after a step, progress or an artifact: it is there once', async ({ cut, proxy }) => {
    const { agent, task } = await started(cut)
    const fence = { incarnation: 1, attempt: 1 }
    const lost = [loseReplyOf(proxy, 'insert into steps'), loseReplyOf(proxy, 'insert into artifacts')]
    const path = `/v1/tasks/${task.taskId}`
    expect((await agent.call('PUT', `${path}/steps/one`, { ...fence, response: 1 })).status).toBeLessThan(300)
    expect(
      (
        await agent.call('PUT', `${path}/artifacts/a?incarnation=1&attempt=1`, Buffer.from('x'), {
          'content-type': 'text/plain',
        })
      ).status,
    ).toBeLessThan(300)
    await Promise.all(lost)
    expect(await cut.db.selectFrom('steps').select('name').execute()).toHaveLength(1)
    expect(await cut.db.selectFrom('artifacts').select('name').execute()).toHaveLength(1)
    await expectInvariants(cut.db)
  })

  test('after a cancel: it is asked for once', async ({ cut, proxy }) => {
    const { task } = await started(cut)
    const lost = loseReplyOf(proxy, 'commit')
    expect((await cut.operator.call<Mission>('POST', `/v1/missions/${task.missionId}:cancel`)).status).toBe(200)
    await lost
    const asked = (await cut.events(task.missionId)).filter((event) => event.type === 'mission.cancel_requested')
    expect(asked).toHaveLength(1)
    await expectInvariants(cut.db)
  })
})

describe('under load', () => {
  // A lease whose statement commits after it was given up for lost is nobody's, and has to run out.
  test.override({ settings: { AGENT_LEASE_MS: '1000', ORCHESTRATOR_SWEEP_MS: '200' } })

  test('connections that are cut again and again under load: what was acknowledged is there once, and all of it ends', async ({
    cut,
    proxy,
  }) => {
    const agent = await cut.agent(['work'], { slots: 100 })
    const acked = new Set<string>()
    let open = true
    const submitOn = async (): Promise<void> => {
      while (open) {
        const key = newId()
        // As a client does it: the same request under the same key, until there is an answer.
        const answer = await until(() =>
          cut.operator.call<Mission>('POST', '/v1/missions', { manifest: SINGLE }, { 'idempotency-key': key }),
        )
        acked.add(answer.body.id)
      }
    }
    const workOn = async (): Promise<void> => {
      while (open || (await openMissions(cut)) > 0) {
        const claimId = newId()
        const { body } = await until(() =>
          agent.call<{ tasks: ClaimedTask[] }>('POST', '/v1/claims', { claimId, incarnation: 1, max: 20, waitMs: 100 }),
        )
        for (const task of body.tasks) await until(() => agent.complete(task, 1))
      }
    }
    const running = [submitOn(), submitOn(), workOn(), workOn()]
    for (let cuts = 0; cuts < 15; cuts += 1) {
      await new Promise((done) => setTimeout(done, 80))
      proxy.cut()
    }
    open = false
    await Promise.all(running)
    expect(acked.size).toBeGreaterThan(0)
    const stored = await cut.db.selectFrom('missions').select(['id', 'state']).execute()
    expect(stored.every((mission) => mission.state === 'completed')).toBe(true)
    expect(new Set(stored.map((mission) => mission.id))).toEqual(acked)
    await expectInvariants(cut.db)
  }, 60_000)
})

const openMissions = async (stage: Stage): Promise<number> =>
  (await stage.db.selectFrom('missions').select('id').where('ended_at', 'is', null).execute()).length

/** Repeats a request that is safe to repeat while the server behind it is away. */
async function until<T>(send: () => Promise<Answer<T>>): Promise<Answer<T>> {
  for (;;) {
    const answer = await send()
    if (answer.status < 300) return answer
    expect(answer.status, JSON.stringify(answer.body)).toBe(503)
    await new Promise((done) => setTimeout(done, 20))
  }
}

describe('Postgres out of reach', () => {
  const ready = async (stage: Stage) => {
    const answer = await stage.orchestrator.app.inject('/readyz')
    return { status: answer.statusCode, checks: answer.json<{ checks: Record<string, { ok: boolean }> }>().checks }
  }

  test.for(['refuse', 'black-hole'] as const)(
    '(%s): red within seconds, writes are told to come back, green again after',
    async (mode, { cut, proxy }) => {
      await waitFor(async () => (await ready(cut)).status === 200, { what: 'the service is ready' })
      const { agent, task } = await started(cut)
      await proxy.setMode(mode)
      const began = performance.now()
      await waitFor(async () => (await ready(cut)).status === 503, { what: 'the service is red', timeoutMs: 3000 })
      expect(performance.now() - began).toBeLessThan(2500)
      expect((await ready(cut)).checks['postgres']).toMatchObject({ ok: false })
      if (mode === 'refuse') {
        for (const answer of await Promise.all([
          cut.operator.call<Problem>('POST', '/v1/missions', { manifest: SINGLE }),
          cut.operator.call<Problem>('POST', `/v1/missions/${task.missionId}:cancel`),
          agent.complete(task, 1) as unknown as Promise<Answer<Problem>>,
          agent.call<Problem>('POST', `/v1/tasks/${task.taskId}/progress`, {
            incarnation: 1,
            attempt: 1,
            fraction: 0.5,
          }),
          cut.operator.call<Problem>('GET', `/v1/missions/${task.missionId}`),
        ])) {
          expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } })
          expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1)
        }
      }
      await proxy.setMode('pass')
      await waitFor(async () => (await ready(cut)).status === 200, { what: 'the service is green', timeoutMs: 10_000 })
      expect((await agent.complete(task, 1)).status).toBe(200)
      expect((await cut.mission(task.missionId)).state).toBe('completed')
      await expectInvariants(cut.db)
    },
  )

  test('a sweep that fails is followed by one that does the work, and holds back what may only look lost', async ({
    cut,
    proxy,
  }) => {
    const slow = await started(cut)
    const silent = await started(cut)
    const past = new Date(0)
    await cut.db.updateTable('tasks').set({ attempt_deadline_at: past }).where('id', '=', slow.task.taskId).execute()
    await cut.db.updateTable('tasks').set({ lease_expires_at: past }).where('id', '=', silent.task.taskId).execute()
    const brake = createBrake(15_000, 1000)
    await proxy.setMode('refuse')
    await expect(sweep(cut, { brake })).rejects.toThrow(/conn/i)
    await proxy.setMode('pass')
    await sweep(cut, { brake })
    expect(brake.holding).toBe(true)
    const [late] = await cut.tasks(slow.task.missionId)
    expect(late).toMatchObject({ state: 'scheduled', error: { code: 'attempt_timeout' } })
    expect((await cut.tasks(silent.task.missionId))[0]?.state).toBe('executing')
    await expectInvariants(cut.db)
  })
})
