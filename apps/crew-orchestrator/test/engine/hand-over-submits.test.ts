import { newId } from '@hypercode/contracts'
import type { ClaimedTask, Mission, SubmitBatchAnswer } from '@hypercode/contracts'
import { parseHints } from '@hypercode/events'
import { waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { SINGLE, handedOver, stateOf, told, waiting } from '../handing.ts'
import { crewOf, stillTest as test } from '../harness.ts'
import type { Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

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
