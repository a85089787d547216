import { newId } from '@hypercode/contracts'
import type { ClaimedTask, SubmitBatchAnswer, Task } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { STILL, crewOf, test } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const single = (skill = 'work', more: Record<string, unknown> = {}): object =>
  crewOf('single', [{ id: 'only', skill, ...more }])

async function submitMany(stage: Stage, count: number, of: (index: number) => object = () => ({ manifest: single() })) {
  const { status, body } = await stage.operator.call<SubmitBatchAnswer>('POST', '/v1/missions:batch', {
    missions: Array.from({ length: count }, (_, index) => of(index)),
  })
  expect(status).toBe(200)
  return body.results.map((result) => result.id as string)
}

const refs = (tasks: readonly ClaimedTask[]): string[] => tasks.map((task) => `${task.taskId}/${task.attempt}`).sort()
const waitingClaims = async (stage: Stage, count: number): Promise<unknown> =>
  await waitFor(() => stage.orchestrator.engine.desk.waiting === count, { what: `${count} waiting claims` })
const rawClaim = (agent: AgentCaller, body: Record<string, unknown> = {}) =>
  agent.call<{ tasks: ClaimedTask[]; code?: string }>('POST', '/v1/claims', {
    claimId: newId(),
    incarnation: agent.incarnation,
    max: 10,
    ...body,
  })

describe('a claim that is repeated', () => {
  test('gets the same attempts, also from another process, and none beyond them', async ({ stage, replica }) => {
    const agent = await stage.agent(['work'])
    await submitMany(stage, 4)
    const claimId = newId()
    const first = await agent.claim({ claimId, max: 3 })
    expect(first).toHaveLength(3)
    expect(refs(await agent.claim({ claimId, max: 3 }))).toEqual(refs(first))
    expect(refs(await (await replica.adopt(agent)).claim({ claimId, max: 10 }))).toEqual(refs(first))
    expect(await stage.db.selectFrom('attempts').selectAll().execute()).toHaveLength(3)
    await expectInvariants(stage.db)
  })

  test('sent again while the first still waits gets the same, once', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const claimId = newId()
    const claims = [1, 2, 3].map(() => agent.claim({ claimId, max: 4 }))
    await waitingClaims(stage, 3)
    await submitMany(stage, 8)
    const answers = await Promise.all(claims)
    expect(await stage.db.selectFrom('attempts').selectAll().execute()).toHaveLength(4)
    for (const answer of answers) expect(refs(answer)).toEqual(refs(answers[0] as ClaimedTask[]))
  })

  test('an attempt that has ended does not come back', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    await submitMany(stage, 1)
    const claimId = newId()
    const [task] = (await agent.claim({ claimId })) as [ClaimedTask]
    await agent.complete(task)
    expect(await agent.claim({ claimId, waitMs: 0 })).toEqual([])
  })
})

describe('slots', () => {
  test('bound what an instance holds, however many claims it sends at once', async ({ stage }) => {
    const agent = await stage.agent(['work'], { slots: 3 })
    const claims = [1, 2, 3, 4].map(() => agent.claim({ max: 10, waitMs: 1000 }))
    await waitingClaims(stage, 4)
    await submitMany(stage, 10)
    const [task, ...others] = (await Promise.all(claims)).flat() as [ClaimedTask, ...ClaimedTask[]]
    expect(others).toHaveLength(2)
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    await agent.complete(task)
    expect(await agent.claim({ waitMs: 0 })).toHaveLength(1)
    await expectInvariants(stage.db)
  })

  test('a claim asks for no more than max', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    await submitMany(stage, 5)
    expect(await agent.claim({ max: 2 })).toHaveLength(2)
  })
})

describe('who gets a task', () => {
  test.override({ settings: STILL })

  test('agents that wait take turns, so that none idles while another is loaded', async ({ stage }) => {
    const agents = await Promise.all(Array.from({ length: 4 }, () => stage.agent(['work'])))
    const claims = agents.map((agent) => agent.claim())
    await waitingClaims(stage, 4)
    await submitMany(stage, 10)
    const taken = (await Promise.all(claims)).map((tasks) => tasks.length).sort((a, b) => a - b)
    expect(taken).toEqual([2, 2, 3, 3])
  })

  test('the most urgent first, then the oldest', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const [normal, urgent, later, low] = await submitMany(stage, 4, (index) => ({
      manifest: single(),
      priority: [0, 50, 0, -50][index],
    }))
    const taken = []
    for (let round = 0; round < 4; round += 1) taken.push(...(await agent.claim({ max: 1 })))
    expect(taken.map((task) => task.missionId)).toEqual([urgent, normal, later, low])
  })

  test('what is in the hands of another transaction is passed over, not waited for', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const [held, free] = await submitMany(stage, 2)
    await stage.db.transaction().execute(async (trx) => {
      await sql`select 1 from tasks where mission_id = ${held} for update`.execute(trx)
      expect((await agent.claim({ max: 2 })).map((task) => task.missionId)).toEqual([free])
    })
    expect((await agent.claim({ max: 2 })).map((task) => task.missionId)).toEqual([held])
  })

  test('only one that has the skill and all that the task requires', async ({ stage }) => {
    const manifest = {
      ...crewOf('x', [{ id: 'a', skill: 'code.edit' }]),
      spec: {
        members: [{ id: 'm', skill: 'code.edit', requires: ['lang.rust', 'os.linux'] }],
        tasks: [{ id: 'a', member: 'm' }],
      },
    }
    await stage.submit(manifest)
    for (const skills of [['lang.rust', 'os.linux'], ['code.edit'], ['code.edit', 'lang.rust']]) {
      expect(await (await stage.agent(skills)).claim({ waitMs: 0 })).toEqual([])
    }
    const fit = await stage.agent(['os.linux', 'x', 'code.edit', 'lang.rust'])
    expect(await fit.claim({ waitMs: 0, skills: ['code.edit'] })).toEqual([])
    expect(await fit.claim({ waitMs: 0 })).toHaveLength(1)
  })

  test('nobody, when nobody fits: the task stays queued and says why', async ({ stage }) => {
    const mission = await stage.submit(single('rare'))
    const reason = async (): Promise<string | undefined> => (await stage.tasks(mission.id))[0]?.reason
    const other = await stage.agent(['other'])
    // Also when there is something for it: that, and nothing else.
    const fits = await stage.submit(single('other'))
    expect((await other.claim()).map(({ missionId }) => missionId)).toEqual([fits.id])
    expect(await reason()).toBe('no live agent has the skills it needs (rare)')
    const rare = await stage.agent(['rare'], { slots: 1 })
    expect(await reason()).toBe('an agent will take it at its next claim')
    await stage.submit(single('rare', { priority: 100 }))
    await rare.claim()
    expect(await reason()).toBe('all 1 agents with the skill rare are busy')
    const [task] = await stage.tasks(mission.id)
    expect((await stage.operator.call<Task>('GET', `/v1/tasks/${task?.id}`)).body.reason).toBe(await reason())
  })

  test('none that drains, is silent, or was replaced by a newer incarnation', async ({ stage }) => {
    const [draining, silent, replaced, stopped] = (await Promise.all(
      [1, 2, 3, 4].map(() => stage.agent(['work'])),
    )) as [AgentCaller, AgentCaller, AgentCaller, AgentCaller]
    // What the claims know of an instance from before must not matter.
    for (const agent of [draining, silent, replaced, stopped]) await agent.claim({ waitMs: 0 })
    const change = async (agent: AgentCaller, set: string): Promise<void> =>
      void (await sql.raw(`update agent_instances set ${set} where id = '${agent.instanceId}'`).execute(stage.db))
    await change(draining, `lifecycle = 'draining'`)
    await change(silent, `lease_expires_at = now() - interval '1 ms'`)
    await change(replaced, 'incarnation = 2')
    await change(stopped, `lifecycle = 'stopped'`)
    await submitMany(stage, 1)
    expect(await draining.claim({ waitMs: 0 })).toEqual([])
    expect(await silent.claim({ waitMs: 0 })).toEqual([])
    for (const agent of [replaced, stopped])
      expect(await rawClaim(agent)).toMatchObject({ status: 409, body: { code: 'fenced' } })
    expect(await rawClaim({ ...replaced, incarnation: 2 })).toMatchObject({ body: { tasks: [{ attempt: 1 }] } })
  })

  test('no instance that never registered, and none of another tenant', async ({ stage, secondTenant }) => {
    await submitMany(stage, 1)
    expect(await rawClaim({ ...(await stage.agent(['work'])), ...(await stage.as(secondTenant)) })).toMatchObject({
      status: 409,
      body: { code: 'fenced' },
    })
    expect(await (await stage.agent(['work'], { tenant: secondTenant })).claim({ waitMs: 0 })).toEqual([])
  })
})

describe('a claim that waits', () => {
  test.override({ settings: STILL })

  test('is woken by work that is queued here, and by a doorbell when it is queued elsewhere', async ({
    stage,
    replica,
  }) => {
    const [here, there] = [await stage.agent(['here']), await replica.agent(['there'])]
    await waitFor(async () => (await stage.orchestrator.app.inject('/readyz')).json().checks.stream.ok === true, {
      what: 'the streams are read',
    })
    await waitFor(async () => (await replica.orchestrator.app.inject('/readyz')).json().checks.stream.ok === true, {
      what: 'the streams are read',
    })
    const claims = [here.claim({ waitMs: 20_000 }), there.claim({ waitMs: 20_000 })]
    await waitingClaims(stage, 1)
    await waitingClaims(replica, 1)
    await stage.submit(
      crewOf('two', [
        { id: 'a', skill: 'here' },
        { id: 'b', skill: 'there' },
      ]),
    )
    const [mine, theirs] = await Promise.all(claims)
    expect([mine?.[0]?.key, theirs?.[0]?.key]).toEqual(['a', 'b'])
  })

  test('ends empty when its time is up', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const began = performance.now()
    expect(await agent.claim({ waitMs: 300 })).toEqual([])
    expect(performance.now() - began).toBeGreaterThan(290)
    expect(stage.orchestrator.engine.desk.waiting).toBe(0)
  })

  test('ends at once when the process drains', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const claim = agent.claim({ waitMs: 20_000 })
    await waitingClaims(stage, 1)
    stage.orchestrator.app.beginDrain()
    expect(await claim).toEqual([])
  })
})

describe('large inputs', () => {
  test.override({ settings: STILL })

  test('are given out in portions, and one that is larger than a portion alone', async ({ stage }) => {
    const agent = await stage.agent(['work'], { slots: 100 })
    const sizesMb = [3, 3, 3, 9, 1]
    for (const mb of sizesMb) {
      const mission = await stage.submit(single())
      await sql`update tasks set input = to_jsonb(repeat('x', ${mb} * 1024 * 1024)) where mission_id = ${mission.id}`.execute(
        stage.db,
      )
    }
    const portions: number[][] = []
    for (let left = sizesMb.length; left > 0; left -= portions.at(-1)?.length ?? 0) {
      const tasks = await agent.claim({ max: 100, waitMs: 0 })
      expect(tasks.length).toBeGreaterThan(0)
      portions.push(tasks.map((task) => Math.round((task.input as string).length / 1024 / 1024)))
    }
    expect(portions).toEqual([[3, 3], [3], [9], [1]])
    await expectInvariants(stage.db)
  })

  test('do not keep others waiting who could take what is left', async ({ stage }) => {
    const agents = await Promise.all([1, 2, 3].map(() => stage.agent(['work'], { slots: 1 })))
    await submitMany(stage, 3)
    await sql`update tasks set input = to_jsonb(repeat('x', 5 * 1024 * 1024))`.execute(stage.db)
    const claims = await Promise.all(agents.map((agent) => agent.claim({ waitMs: 20_000 })))
    expect(claims.map((tasks) => tasks.length)).toEqual([1, 1, 1])
  })
})

describe('a crowd at the door', () => {
  test.override({ settings: { ...STILL, CLAIMS_WAITING_MAX: '2' } })

  test('more claims than may wait are told to come later', async ({ stage }) => {
    const agents = await Promise.all([1, 2, 3].map(() => stage.agent(['work'])))
    const waiting = agents.slice(0, 2).map((agent) => agent.claim({ waitMs: 20_000 }))
    await waitingClaims(stage, 2)
    const refused = await rawClaim(agents[2] as AgentCaller, { waitMs: 1000 })
    expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable' }, headers: { 'retry-after': '1' } })
    stage.orchestrator.app.beginDrain()
    await Promise.all(waiting)
  })
})

test('a new attempt knows what earlier ones recorded, and has a progress of its own', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(single())
  const [task] = (await agent.claim()) as [ClaimedTask]
  const fence = { incarnation: 1, attempt: 1 }
  await agent.call('PUT', `/v1/tasks/${task.taskId}/steps/plan`, { ...fence, requestHash: 'h', response: { n: 1 } })
  await agent.call('PUT', `/v1/tasks/${task.taskId}/steps/act`, { ...fence, response: null })
  await agent.call('POST', `/v1/tasks/${task.taskId}/progress`, { ...fence, fraction: 0.9 })
  await agent.report({ taskId: task.taskId, attempt: 1, outcome: 'released' })
  const [again] = (await agent.claim()) as [ClaimedTask]
  expect(again).toMatchObject({
    attempt: 2,
    steps: [
      { name: 'plan', requestHash: 'h', response: { n: 1 } },
      { name: 'act', response: null },
    ],
  })
  expect((await stage.tasks(mission.id))[0]).not.toHaveProperty('progress')
})

test('a new attempt is told why the one before it failed', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  await stage.submit(single())
  const [task] = (await agent.claim()) as [ClaimedTask]
  expect(task).not.toHaveProperty('previousError')
  await agent.fail(task, { code: 'no_answer', message: 'the model is silent', retryAfterMs: 0 })
  const [again] = (await agent.claim()) as [ClaimedTask]
  expect(again).toMatchObject({ attempt: 2, previousError: { code: 'no_answer', message: 'the model is silent' } })
})
