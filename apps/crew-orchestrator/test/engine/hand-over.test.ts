import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@hypercode/contracts'
import type { ClaimedTask, Mission, SubmitBatchAnswer } from '@hypercode/contracts'
import { parseHints } from '@hypercode/events'
import { createFaultProxy, waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { describe, expect, onTestFinished } from 'vitest'
import { PATIENT_MS, handedOver, waiting } from '../handing.ts'
import { STILL, crewOf, stillTest as test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const SINGLE = crewOf('single', [{ id: 'only' }])

const told = async (stage: Stage, missionId: string): Promise<string[]> =>
  (await stage.events(missionId)).map(({ seq, type }, index) => {
    expect(seq).toBe(index + 1)
    return type
  })

const stateOf = async (stage: Stage, missionId: string): Promise<string[]> =>
  (await stage.tasks(missionId)).map(({ state }) => state)

describe('a mission that is submitted while a claim waits', () => {
  test('is executing when it is stored', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const claimId = newId()
    const { answer } = await waiting(stage, agent, { claimId })
    const mission = await stage.submit(SINGLE, { n: 1 })
    expect(mission).toMatchObject({ state: 'running', startedAt: expect.any(String), tasks: { open: 1 } })
    const [task] = (await answer) as [ClaimedTask]
    expect(task).toMatchObject({ missionId: mission.id, key: 'only', attempt: 1, steps: [] })
    expect(await handedOver(stage, mission.id)).toEqual({ only: true })
    expect(await told(stage, mission.id)).toEqual([
      'mission.submitted',
      'task.queued',
      'mission.started',
      'task.claimed',
    ])
    expect((await stage.events(mission.id)).at(-1)).toMatchObject({
      task_id: task.taskId,
      body: { key: 'only', attempt: 1, agentInstanceId: agent.instanceId },
    })
    expect(await stage.db.selectFrom('attempts').selectAll().execute()).toMatchObject([
      { task_id: task.taskId, attempt: 1, agent_instance_id: agent.instanceId, claim_id: claimId, ended_at: null },
    ])
    expect(stage.orchestrator.engine.desk.waiting).toBe(0)
    await expectInvariants(stage.db)
  })

  test('tells the streams how far its events go', async ({ stage, redis, keys }) => {
    const { answer } = await waiting(stage, await stage.agent(['work']))
    const mission = await stage.submit(SINGLE)
    await answer
    const hints = async () =>
      (await redis.xrange(keys.events, '-', '+'))
        .flatMap(([, fields]) => parseHints(fields[fields.indexOf('hints') + 1]))
        .filter((hint) => hint.kind === 'mission' && hint.missionId === mission.id)
    await waitFor(async () => (await hints()).length > 0, { what: 'a hint' })
    expect(await hints()).toEqual([expect.objectContaining({ seq: 4, correlationId: mission.correlationId })])
  })

  // Goal: who is handed a task cannot tell it from one that was leased, nor can the database. Method: the same mission both ways, with
  // everything that a task can say about itself.
  test('is the same, field by field, as one that was queued first', async ({ stage }) => {
    const manifest = {
      ...crewOf('full', []),
      spec: {
        members: [{ id: 'm', skill: 'code.edit', requires: ['lang.rust'], pool: 'gym-7' }],
        tasks: [
          {
            id: 'a',
            member: 'm',
            priority: 3,
            input: { said: '${mission.input.text}', n: 1.5, list: [null, { deep: 'ä\n"' }] },
            retry: { maxAttempts: 4 },
            timeouts: { queue: '1h', attempt: '2m', heartbeat: '30s', total: '3h' },
          },
        ],
      },
    }
    const agent = await stage.agent(['code.edit@gym-7', 'lang.rust@gym-7'])
    const headers = {
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      'x-correlation-id': 'one-and-the-same',
    }
    const claimId = newId()
    const { answer } = await waiting(stage, agent, { claimId })
    const first = await stage.submit(manifest, { text: 'x' }, headers)
    const handed = (await answer)[0] as ClaimedTask
    const handedRows = await rowsOf(stage, first.id)
    const second = await stage.submit(manifest, { text: 'x' }, headers)
    const leased = (await agent.claim())[0] as ClaimedTask
    expect(await handedOver(stage, first.id)).toEqual({ a: true })
    expect(await handedOver(stage, second.id)).toEqual({ a: false })
    const { taskId, missionId, traceparent, ...rest } = leased
    expect(handed).toEqual({
      ...rest,
      taskId: expect.not.stringMatching(taskId),
      missionId: first.id,
      traceparent: expect.stringContaining((traceparent as string).slice(0, 36)),
    })
    expect(missionId).toBe(second.id)
    expect(rest).toMatchObject({
      skill: 'code.edit',
      attemptTimeoutMs: 120_000,
      maxAttempts: 4,
      leaseMs: 15_000,
      steps: [],
    })
    expect(handedRows).toEqual(await rowsOf(stage, second.id))
  })

  test('only with what the waiting claims take; the rest is queued and claimed as ever', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { answer } = await waiting(stage, agent, { max: 2 })
    const mission = await stage.submit(crewOf('wide', [{ id: 'all', forEach: [1, 2, 3, 4, 5], input: '${item}' }]))
    expect((await answer).map(({ key }) => key)).toEqual(['all[0]', 'all[1]'])
    expect((await stateOf(stage, mission.id)).filter((state) => state === 'queued')).toHaveLength(3)
    expect((await agent.claim()).map(({ key }) => key)).toEqual(['all[2]', 'all[3]', 'all[4]'])
    await expectInvariants(stage.db)
  })

  test('wakes other claims for what was not handed over', async ({ stage }) => {
    const [worker, tester] = [await stage.agent(['work']), await stage.agent(['test'])]
    const claims = [await waiting(stage, worker, { max: 1 }), await waiting(stage, tester)]
    const one = { key: 'one', limit: 1 }
    const mission = await stage.submit(crewOf('two', [{ id: 'a' }, { id: 'b', skill: 'test', concurrency: one }]))
    for (const { answer } of claims) expect(await answer).toHaveLength(1)
    expect(await handedOver(stage, mission.id)).toEqual({ a: true, b: false })
    await expectInvariants(stage.db)
  })

  test('a batch goes round the agents', async ({ stage }) => {
    const agents = [await stage.agent(['work']), await stage.agent(['work'])]
    const claims = []
    for (const agent of agents) claims.push((await waiting(stage, agent)).answer)
    const { body } = await stage.operator.call<SubmitBatchAnswer>('POST', '/v1/missions:batch', {
      missions: Array.from({ length: 5 }, () => ({ manifest: SINGLE })),
    })
    const taken = (await Promise.all(claims)).map((tasks) => tasks.length)
    expect(taken.toSorted((a, b) => a - b)).toEqual([2, 3])
    for (const { id } of body.results) expect(await handedOver(stage, id as string)).toEqual({ only: true })
    await expectInvariants(stage.db)
  })

  test('again under its idempotency key hands nothing over', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const submit = async (): Promise<Mission> => await stage.submit(SINGLE, null, { 'idempotency-key': 'k' })
    const first = await waiting(stage, agent)
    const mission = await submit()
    await first.answer
    const { answer } = await waiting(stage, agent)
    expect((await submit()).id).toBe(mission.id)
    expect(stage.orchestrator.engine.desk.waiting).toBe(1)
    expect(await told(stage, mission.id)).toHaveLength(4)
    expect(await stage.db.selectFrom('attempts').selectAll().execute()).toHaveLength(1)
    const other = await stage.submit(SINGLE)
    expect(await answer).toMatchObject([{ missionId: other.id }])
    await expectInvariants(stage.db)
  })

  test('among others that are there already hands over what is new alone', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const known = await stage.submit(SINGLE, null, { 'idempotency-key': 'known' })
    await agent.claim()
    const { answer } = await waiting(stage, agent)
    const missions = [{ manifest: SINGLE, idempotencyKey: 'known', input: null }, { manifest: SINGLE }]
    const { body } = await stage.operator.call<SubmitBatchAnswer>('POST', '/v1/missions:batch', { missions })
    const fresh = body.results[1]?.id as string
    expect((await answer).map(({ missionId }) => missionId)).toEqual([fresh])
    expect(await handedOver(stage, fresh)).toEqual({ only: true })
    expect(await stateOf(stage, known.id)).toEqual(['executing'])
    await expectInvariants(stage.db)
  })
})

/** What the database holds of a mission: ids and times only as there or not, and without counts of changes. */
async function rowsOf({ db }: Stage, missionId: string): Promise<unknown> {
  const of = async (table: string, key: string): Promise<unknown[]> => {
    const { rows } = await sql<Record<string, unknown>>`
      select * from ${sql.table(table)} where ${sql.ref(key)} = ${missionId}`.execute(db)
    return rows.map((row) =>
      Object.fromEntries(
        Object.entries(row)
          .filter(([name]) => name !== 'version')
          .map(([name, value]) => [name, /^traceparent$|(^|_)(id|at)$/.test(name) && value !== null ? 'set' : value]),
      ),
    )
  }
  const attempts = await db
    .selectFrom('attempts as a')
    .innerJoin('tasks as t', 't.id', 'a.task_id')
    .where('t.mission_id', '=', missionId)
    .select(['a.attempt', 'a.agent_instance_id', 'a.incarnation', 'a.outcome', 'a.ended_at', 'a.error'])
    .execute()
  const { rows: spans } = await sql<{ lease: number; attempt: number; heartbeat: number; total: number }>`
    select round(extract(epoch from lease_expires_at - started_at)) as lease, round(extract(epoch from attempt_deadline_at - started_at)) as attempt,
      round(extract(epoch from progress_deadline_at - started_at)) as heartbeat from tasks where mission_id = ${missionId}`.execute(
    db,
  )
  expect(spans).toEqual([{ lease: '15', attempt: '120', heartbeat: '30' }])
  return [
    await of('missions', 'id'),
    await of('tasks', 'mission_id'),
    await of('mission_events', 'mission_id'),
    attempts,
  ]
}

describe('a report', () => {
  const CHAIN = crewOf('chain', [
    { id: 'a' },
    { id: 'b', dependsOn: ['a'], input: { from: '${tasks.a.output.x}' } },
    { id: 'c', dependsOn: ['b'], input: '${tasks.b.output}' },
  ])

  test('hands over the next task of a chain, whose mission starts once', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const first = await waiting(stage, agent)
    const mission = await stage.submit(CHAIN)
    const [a] = (await first.answer) as [ClaimedTask]
    const second = await waiting(stage, agent)
    expect(await agent.complete(a, { x: 7 })).toMatchObject({
      status: 200,
      body: { results: [{ status: 'accepted', state: 'completed' }] },
    })
    const [b] = (await second.answer) as [ClaimedTask]
    expect(b).toMatchObject({ key: 'b', attempt: 1, input: { from: 7 }, correlationId: mission.correlationId })
    const third = await waiting(stage, agent)
    await agent.complete(b, 'end')
    const [c] = (await third.answer) as [ClaimedTask]
    expect(c.input).toBe('end')
    await agent.complete(c)
    expect(await handedOver(stage, mission.id)).toEqual({ a: true, b: true, c: true })
    expect(await told(stage, mission.id)).toEqual([
      ...['mission.submitted', 'task.queued', 'mission.started', 'task.claimed'],
      ...['task.completed', 'task.queued', 'task.claimed'],
      ...['task.completed', 'task.queued', 'task.claimed'],
      ...['task.completed', 'mission.completed'],
    ])
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed' })
    for (const task of await stage.tasks(mission.id)) expect(task).toMatchObject({ startedAt: expect.any(String) })
    await expectInvariants(stage.db)
  })

  test('wakes other claims for what it queues beside that, and for what has its input in the database', async ({
    stage,
  }) => {
    const [worker, tester, third] = [
      await stage.agent(['work']),
      await stage.agent(['test']),
      await stage.agent(['third']),
    ]
    const behind = { dependsOn: ['a'], input: '${tasks.a.output}' }
    const mission = await stage.submit(
      crewOf('fork', [
        { id: 'a' },
        { ...behind, id: 'b' },
        { ...behind, id: 'c', skill: 'test', concurrency: { key: 'one', limit: 1 } },
        { id: 'd', dependsOn: ['a'], skill: 'third', input: { fixed: 1 } },
      ]),
    )
    const [a] = (await worker.claim()) as [ClaimedTask]
    const claims = []
    for (const agent of [worker, tester, third]) claims.push((await waiting(stage, agent)).answer)
    await worker.complete(a, 7)
    const tasks = (await Promise.all(claims)).flat()
    expect(tasks.map(({ key, input }) => [key, input])).toEqual([
      ['b', 7],
      ['c', 7],
      ['d', { fixed: 1 }],
    ])
    expect(await handedOver(stage, mission.id)).toEqual({ a: false, b: true, c: false, d: false })
    await expectInvariants(stage.db)
  })

  test('hands nothing over in a mission that it pauses, nor what is tried again', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const crew = crewOf(
      'stops',
      [
        { id: 'bad', retry: { maxAttempts: 1 } },
        { id: 'again', retry: { initialInterval: '1ms' } },
        { id: 'next', dependsOn: ['again'], input: '${mission.input}' },
      ],
      { policy: { onTaskFailure: 'pause' } },
    )
    const mission = await stage.submit(crew)
    const [bad, again] = (await agent.claim({ max: 2 })) as [ClaimedTask, ClaimedTask]
    const { answer } = await waiting(stage, agent)
    const results = [
      { taskId: again.taskId, attempt: 1, outcome: 'completed', output: null },
      { taskId: bad.taskId, attempt: 1, outcome: 'failed', error: { code: 'x', message: 'x', retryable: false } },
    ]
    await agent.call('POST', '/v1/completions', { incarnation: agent.incarnation, results })
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'paused' })
    expect((await stage.tasks(mission.id)).find(({ key }) => key === 'next')).toMatchObject({ state: 'queued' })
    const other = await stage.submit(SINGLE)
    expect(await answer).toMatchObject([{ missionId: other.id }])
    await expectInvariants(stage.db)
  })

  test('that waits for its mission gives the next attempt all of its time', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const limits = { timeouts: { attempt: '1s', heartbeat: '1s' } }
    const mission = await stage.submit(
      crewOf('short', [{ id: 'a' }, { id: 'b', dependsOn: ['a'], input: '${tasks.a.output}', ...limits }]),
    )
    const [a] = (await agent.claim()) as [ClaimedTask]
    const { answer } = await waiting(stage, agent)
    const report = await stage.db.transaction().execute(async (trx) => {
      await sql`select 1 from missions where id = ${mission.id} for update`.execute(trx)
      const reported = agent.complete(a)
      await sleep(700)
      return { reported }
    })
    expect((await report.reported).status).toBe(200)
    expect(await answer).toMatchObject([{ key: 'b', attemptTimeoutMs: 1000 }])
    expect(await handedOver(stage, mission.id)).toEqual({ a: false, b: true })
    const { rows } = await sql<Record<'attempt' | 'heartbeat' | 'lease', number>>`
      select extract(epoch from t.attempt_deadline_at - a.started_at)::float as attempt,
        extract(epoch from t.progress_deadline_at - a.started_at)::float as heartbeat,
        extract(epoch from t.lease_expires_at - a.started_at)::float as lease
      from tasks t join attempts a on a.task_id = t.id where t.mission_id = ${mission.id} and t.key = 'b'`.execute(
      stage.db,
    )
    expect(rows[0]?.attempt).toBeGreaterThan(0.8)
    expect(rows[0]?.heartbeat).toBeGreaterThan(0.8)
    expect(rows[0]?.lease).toBeGreaterThan(14.8)
  })

  test('of an instance without further slots leaves its next task to whoever is free', async ({ stage }) => {
    const agent = await stage.agent(['work'], { slots: 1 })
    const mission = await stage.submit(CHAIN)
    const [a] = (await agent.claim()) as [ClaimedTask]
    const { answer } = await waiting(stage, agent)
    await agent.complete(a, { x: 1 })
    expect(await answer).toMatchObject([{ key: 'b', attempt: 1 }])
    expect(await stateOf(stage, mission.id)).toEqual(['completed', 'executing', 'blocked'])
    await expectInvariants(stage.db)
  })
})

interface Shut {
  why: string
  manifest?: object
  slots?: number
  shut: (stage: Stage, agent: AgentCaller) => Promise<unknown>
  /** Undoes it, where a claim must wait for that. */
  open?: (stage: Stage, agent: AgentCaller) => Promise<unknown>
  /** How many are claimed in the end. */
  claimed?: number
}

const change = async ({ db }: Stage, { instanceId }: AgentCaller, set: Record<string, unknown>): Promise<void> => {
  await db.updateTable('agent_instances').set(set).where('id', '=', instanceId).execute()
}
const ringOf = async (stage: Stage, agent: AgentCaller): Promise<void> =>
  stage.orchestrator.engine.desk.wake([{ tenantId: agent.owner.id, queue: 'work' }])
const inTenMinutes = (): Date => new Date(Date.now() + 600_000)

describe('while the gate is shut, what is submitted is queued and claimed as ever', () => {
  test.for<Shut>([
    {
      why: 'the instance drains',
      shut: async (stage, agent) => await change(stage, agent, { lifecycle: 'draining' }),
      open: async (stage, agent) => await change(stage, agent, { lifecycle: 'ready' }),
    },
    {
      why: 'the instance is silent',
      shut: async (stage, agent) => await change(stage, agent, { lease_expires_at: new Date(Date.now() - 1000) }),
      open: async (stage, agent) => await change(stage, agent, { lease_expires_at: inTenMinutes() }),
    },
    {
      why: 'the instance has no free slots',
      slots: 1,
      manifest: crewOf('two', [{ id: 'a' }, { id: 'b' }], { process: 'parallel' }),
      shut: async () => undefined,
    },
    {
      why: 'the queue is paused',
      shut: async ({ operator }) => await operator.call('POST', '/v1/queues/work:pause'),
      open: async ({ operator }) => await operator.call('POST', '/v1/queues/work:resume'),
    },
    {
      why: 'the queue is limited',
      shut: async ({ operator }) => await operator.call('PUT', '/v1/queues/work/limits', { maxExecuting: 5 }),
    },
    {
      why: 'something is queued there already',
      shut: async (stage) => {
        const needsMore = { apiVersion: 'hypercode/v1', kind: 'Crew', metadata: { name: 'more' } }
        const members = [{ id: 'm', skill: 'work', requires: ['rare'] }]
        await stage.submit({ ...needsMore, spec: { members, tasks: [{ id: 'a', member: 'm' }] } })
      },
    },
  ])('because $why', async ({ manifest = SINGLE, slots = 10, shut, open }, { stage }) => {
    const agent = await stage.agent(['work'], { slots })
    const { answer } = await waiting(stage, agent)
    await shut(stage, agent)
    // What shut it may have woken the group.
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    const mission = await stage.submit(manifest)
    if (open !== undefined) {
      expect(mission.state).toBe('submitted')
      expect(new Set(await stateOf(stage, mission.id))).toEqual(new Set(['queued']))
      expect((await told(stage, mission.id)).slice(0, 2)).toEqual(['mission.submitted', 'task.queued'])
      await sleep(50)
      expect(stage.orchestrator.engine.desk.waiting).toBe(1)
      await open(stage, agent)
      await ringOf(stage, agent)
    }
    const tasks = await answer
    expect(tasks.map(({ missionId, attempt }) => [missionId, attempt])).toEqual([[mission.id, 1]])
    expect(await handedOver(stage, mission.id)).toEqual({ [(tasks[0] as ClaimedTask).key]: false })
    expect((await told(stage, mission.id)).filter((type) => type === 'mission.started')).toHaveLength(1)
    await expectInvariants(stage.db)
  })

  // Goal: a claim whose answer was lost gets what it was given, and nothing else. Method: it comes again, and before anybody has looked
  // for it a mission is there that it could take.
  test('because the claim was given tasks before: it gets those again', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    for (let round = 0; round < 5; round += 1) {
      const claimId = newId()
      const first = await stage.submit(SINGLE)
      const [lost] = (await agent.claim({ claimId })) as [ClaimedTask]
      expect(lost.missionId).toBe(first.id)
      expect(await agent.claim({ waitMs: 0 })).toEqual([])
      const [again, second] = await Promise.all([agent.claim({ claimId, waitMs: PATIENT_MS }), stage.submit(SINGLE)])
      expect(again.map(({ taskId }) => taskId)).toEqual([lost.taskId])
      const [next] = (await agent.claim()) as [ClaimedTask]
      expect([next.missionId, next.attempt]).toEqual([second.id, 1])
      for (const task of [lost, next]) await agent.complete(task)
    }
    await expectInvariants(stage.db)
  })

  test('because the instance has another incarnation: its old claim is fenced', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { desk } = stage.orchestrator.engine
    const old = agent.call('POST', '/v1/claims', { claimId: newId(), incarnation: 1, max: 10, waitMs: PATIENT_MS })
    await waitFor(() => desk.waiting === 1, { what: 'a waiting claim' })
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    await change(stage, agent, { incarnation: 2 })
    const mission = await stage.submit(SINGLE)
    expect(await old).toMatchObject({ status: 409, body: { code: 'fenced' } })
    expect(await stateOf(stage, mission.id)).toEqual(['queued'])
    const now = await agent.call<{ tasks: ClaimedTask[] }>('POST', '/v1/claims', {
      ...{ claimId: newId(), incarnation: 2, max: 10, waitMs: PATIENT_MS },
    })
    expect(now.body.tasks).toMatchObject([{ missionId: mission.id, attempt: 1 }])
    await expectInvariants(stage.db)
  })
})

describe('a task that was handed over', () => {
  async function handedTask(stage: Stage) {
    const agent = await stage.agent(['work'])
    const claimId = newId()
    const { answer } = await waiting(stage, agent, { claimId })
    const mission = await stage.submit(SINGLE)
    const [task] = (await answer) as [ClaimedTask]
    expect(await handedOver(stage, mission.id)).toEqual({ only: true })
    return { agent, claimId, mission, task }
  }

  test('comes again with the same claim, also from another process, and no other', async ({ stage, replica }) => {
    const { agent, claimId, task } = await handedTask(stage)
    await stage.submit(SINGLE)
    expect(await agent.claim({ claimId, waitMs: 0 })).toMatchObject([{ taskId: task.taskId, attempt: 1 }])
    const elsewhere = await replica.adopt(agent)
    expect(await elsewhere.claim({ claimId, waitMs: 0 })).toMatchObject([{ taskId: task.taskId, attempt: 1 }])
    expect(await stage.db.selectFrom('attempts').selectAll().execute()).toHaveLength(1)
  })

  test('is reported under its fence, and under no other', async ({ stage }) => {
    const { agent, task, mission } = await handedTask(stage)
    const done = { taskId: task.taskId, attempt: 1, outcome: 'completed', output: 1 }
    const stranger = await stage.agent(['work'])
    expect((await agent.report(done, 2)).status).toBe(409)
    expect((await stranger.report(done)).status).toBe(409)
    expect((await agent.report({ ...done, attempt: 2 })).status).toBe(409)
    expect(await stateOf(stage, mission.id)).toEqual(['executing'])
    expect((await agent.report(done)).body.results).toMatchObject([{ status: 'accepted', state: 'completed' }])
    expect((await agent.report(done)).body.results).toMatchObject([{ status: 'replayed' }])
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed' })
    await expectInvariants(stage.db)
  })

  test('is canceled by who holds it, when its mission is canceled at once', async ({ stage }) => {
    const { agent, task, mission } = await handedTask(stage)
    const canceled = await stage.operator.call<Mission>('POST', `/v1/missions/${mission.id}:cancel`)
    expect(canceled).toMatchObject({ status: 200, body: { state: 'running', cancelRequestedAt: expect.any(String) } })
    await agent.report({ taskId: task.taskId, attempt: 1, outcome: 'canceled' })
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'canceled', tasks: { open: 0 } })
    await expectInvariants(stage.db)
  })

  test('is explained as one that is held by its instance', async ({ stage }) => {
    const { agent, task } = await handedTask(stage)
    const { body } = await stage.operator.call<{ verdict: string; gates: object[] }>(
      'GET',
      `/v1/tasks/${task.taskId}:explain`,
    )
    expect(body).toMatchObject({ verdict: 'running' })
    expect(JSON.stringify(body.gates)).toContain(agent.instanceId)
  })
})

// Goal: the row that the relay sends later tells as much as the hint that goes at once. Method: without Redis all of them stay.
test('the outbox says how far the events go, whether something was handed over or not', async ({ open, redisUrl }) => {
  const proxy = await createFaultProxy(redisUrl)
  onTestFinished(async () => await proxy.stop())
  await proxy.setMode('refuse')
  const stage = await open({ ...STILL, REDIS_URL: proxy.through(redisUrl) })
  const agent = await stage.agent(['work'])
  const chain = crewOf('chain', [{ id: 'a' }, { id: 'b', dependsOn: ['a'], input: '${tasks.a.output}' }])
  const seqs = async (missionId: string): Promise<number[]> => {
    const { rows } = await sql<{ seq: number }>`
      select (hint->>'seq')::int as seq from outbox, jsonb_array_elements(payload) hint
      where hint->>'missionId' = ${missionId} order by id`.execute(stage.db)
    return rows.map(({ seq }) => seq)
  }
  const first = await waiting(stage, agent, { max: 1 })
  const mission = await stage.submit(chain)
  const [a] = (await first.answer) as [ClaimedTask]
  const second = await waiting(stage, agent, { max: 1 })
  await agent.complete(a)
  const [b] = (await second.answer) as [ClaimedTask]
  await agent.complete(b)
  expect(await handedOver(stage, mission.id)).toEqual({ a: true, b: true })
  expect(await seqs(mission.id)).toEqual([4, 7, 9])

  await stage.operator.call('PUT', '/v1/queues/work/limits', { maxExecuting: 5 })
  const third = await waiting(stage, agent, { max: 1 })
  const queued = await stage.submit(chain)
  await third.answer
  expect(await seqs(queued.id)).toEqual([2, 4])
})

describe('what was not stored', () => {
  test('is not handed over: the crew had a newer version, whose task the claim gets', async ({ stage, replica }) => {
    const put = async (at: Stage, task: string) =>
      expect((await at.operator.call('POST', '/v1/crews', crewOf('crew', [{ id: task }]))).status).toBeLessThan(300)
    const submit = async (): Promise<Mission> =>
      (await stage.operator.call<Mission>('POST', '/v1/missions', { crew: 'crew' })).body
    const agent = await stage.agent(['work'])
    await put(stage, 'old')
    const before = await submit()
    await agent.claim()
    await put(replica, 'new')
    const { answer } = await waiting(stage, agent)
    const mission = await submit()
    expect(await answer).toMatchObject([{ missionId: mission.id, key: 'new' }])
    expect(await told(stage, before.id)).toHaveLength(4)
    expect(await stage.db.selectFrom('attempts').selectAll().execute()).toHaveLength(2)
    await expectInvariants(stage.db)
  })
})

// Goal: whatever is lent, leased and reported at the same time, each task is given once, and no instance more than it has slots for.
// Method: instances with more claims than slots, in two groups each, while missions come one by one and all at once.
test('in a crowd of claims nothing is given twice, and no slot', async ({ stage }) => {
  const agents = await Promise.all([1, 2, 3].map(async () => await stage.agent(['work', 'test'], { slots: 2 })))
  const crew = crewOf('crowd', [
    { id: 'all', forEach: [1, 2, 3], input: '${item}' },
    { id: 'next', skill: 'test', dependsOn: ['all'], input: '${tasks.all.output}' },
  ])
  const ALL = ['work', 'test']
  let isOpen = true
  const work = async (agent: AgentCaller, skills: string[]): Promise<void> => {
    while (isOpen) {
      const tasks = await agent.claim({ max: 2, waitMs: 500, skills })
      await Promise.all(tasks.map(async (task) => expect((await agent.complete(task)).status).toBe(200)))
    }
  }
  const loops = agents.flatMap((agent) => [work(agent, ALL), work(agent, ALL), work(agent, ['test'])])
  const missions: string[] = []
  for (let turn = 0; turn < 20; turn += 1) {
    const batch = Array.from({ length: 1 + (turn % 3) }, async () => (await stage.submit(crew)).id)
    missions.push(...(await Promise.all(batch)))
    if (turn % 2 === 0) continue
    await waitFor(() => stage.orchestrator.engine.desk.waiting === loops.length, { what: 'a calm moment' })
    await sleep(30)
  }
  const open = async (): Promise<number> =>
    (await stage.db.selectFrom('missions').select('id').where('ended_at', 'is', null).execute()).length
  await waitFor(async () => (await open()) === 0, { what: 'the end of all missions', timeoutMs: 15_000 })
  isOpen = false
  await Promise.all(loops)
  const over = await sql<{ at_once: number }>`
    select max(n)::int as at_once from attempts a cross join lateral (
      select count(*) as n from attempts b where b.agent_instance_id = a.agent_instance_id
        and b.started_at <= a.started_at and b.ended_at > a.started_at) held`.execute(stage.db)
  expect(over.rows).toEqual([{ at_once: 2 }])
  const handed = await Promise.all(missions.map(async (id) => Object.values(await handedOver(stage, id))))
  expect(new Set(handed.flat())).toEqual(new Set([true, false]))
  await expectInvariants(stage.db)
})
