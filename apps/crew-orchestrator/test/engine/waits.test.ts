import { newId } from '@hypercode/contracts'
import type { ClaimedTask, Mission, Problem, SignalAnswer, Task, Wait } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants, expectNoDeadlocks } from '../invariants.ts'

const suspend = async (agent: AgentCaller, task: ClaimedTask, wait: Wait) =>
  await agent.report({ taskId: task.taskId, attempt: task.attempt, outcome: 'waiting', wait })
const signal = async (stage: Stage, missionId: string, body: object, key?: string) =>
  await stage.operator.call<SignalAnswer & Problem>(
    'POST',
    `/v1/missions/${missionId}:signal`,
    body,
    key === undefined ? {} : { 'idempotency-key': key },
  )
const one = async (agent: AgentCaller): Promise<ClaimedTask> => {
  const [task] = await agent.claim({ max: 1 })
  if (task === undefined) throw new Error('there is nothing to claim')
  return task
}
const timer = (delayMs: number, name = 'nap'): Wait => ({ kind: 'timer', name, delayMs })
const forSignal = (name = 'go', timeoutMs?: number): Wait => ({
  kind: 'signal',
  name,
  signal: name,
  ...(timeoutMs === undefined ? {} : { timeoutMs }),
})
/** Lets the clock of the database pass the instants of what waits. */
const pass = async (stage: Stage, seconds: number) => {
  await sql`update waits set fire_at = fire_at - ${seconds} * interval '1 second' where fired_at is null`.execute(
    stage.db,
  )
  await sql`update tasks set available_at = available_at - ${seconds} * interval '1 second',
    total_deadline_at = total_deadline_at - ${seconds} * interval '1 second' where state in ('waiting', 'input_required')`.execute(
    stage.db,
  )
}

/** A mission of one task that waits. */
async function waiting(stage: Stage, wait: Wait, task: object = {}): Promise<{ agent: AgentCaller; mission: Mission }> {
  const agent = await stage.agent(['work'], { slots: 1 })
  const mission = await stage.submit(crewOf('x', [{ id: 'a', ...task }]))
  expect(await suspend(agent, await one(agent), wait)).toMatchObject({
    status: 200,
    body: { results: [{ status: 'accepted', state: 'waiting' }] },
  })
  return { agent, mission }
}

describe('a timer', () => {
  test('holds no slot, is over in its time and not before, and costs no attempt', async ({ stage }) => {
    const { agent, mission } = await waiting(stage, timer(3_600_000), { retry: { maxAttempts: 1 } })
    const [asleep] = (await stage.tasks(mission.id)) as [Task]
    expect(asleep).toMatchObject({ state: 'waiting', reason: 'sleeps (nap)', attempt: 1, maxAttempts: 2 })
    expect(Date.parse(asleep.availableAt as string)).toBeGreaterThan(Date.now() + 3_500_000)
    expect(asleep.agentInstanceId).toBeUndefined()
    const other = await stage.submit(crewOf('x', [{ id: 'b' }]))
    const meanwhile = await one(agent)
    expect(meanwhile.missionId).toBe(other.id)
    await agent.complete(meanwhile)

    await pass(stage, 3599)
    await sweep(stage)
    expect((await stage.tasks(mission.id))[0]?.state).toBe('waiting')
    await pass(stage, 2)
    await sweep(stage)
    const again = await one(agent)
    expect(again).toMatchObject({
      attempt: 2,
      maxAttempts: 2,
      steps: [{ name: 'wait:nap', response: { timedOut: false } }],
    })
    await agent.complete(again, 7)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed', output: { a: 7 } })
    expect((await stage.events(mission.id)).map((event) => event.type)).toEqual([
      'mission.submitted',
      'task.queued',
      'mission.started',
      'task.claimed',
      'task.waiting',
      'task.queued',
      'task.claimed',
      'task.completed',
      'mission.completed',
    ])
    await expectInvariants(stage.db)
  })

  test('of many tasks ends once each, however many replicas sweep', async ({ stage, replica }) => {
    const agent = await stage.agent(['work'], { slots: 500 })
    const mission = await stage.submit(crewOf('x', [{ id: 'a', forEach: Array.from({ length: 450 }, (_, i) => i) }]))
    const tasks = await agent.claim({ max: 500 })
    expect(tasks).toHaveLength(450)
    await Promise.all(tasks.map(async (task) => await suspend(agent, task, timer(0))))
    await Promise.all([stage, replica, stage, replica].map(async (each) => await sweep(each)))
    await sweep(stage)
    const events = await stage.events(mission.id)
    expect(events.filter((event) => event.type === 'task.queued')).toHaveLength(900)
    expect(await stage.db.selectFrom('steps').select('name').execute()).toHaveLength(450)
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  })

  test('a retry after it waits no longer than one without it', async ({ stage }) => {
    const { agent, mission } = await waiting(stage, timer(0), {
      retry: { maxAttempts: 2, initialInterval: '1s', backoff: 100, maxInterval: '100d' },
    })
    await sweep(stage)
    for (let index = 0; index < 5; index += 1) {
      await suspend(agent, await one(agent), timer(0, `nap-${index}`))
      await sweep(stage)
    }
    await agent.fail(await one(agent))
    const [task] = (await stage.tasks(mission.id)) as [Task]
    expect(task).toMatchObject({ state: 'scheduled', attempt: 7, maxAttempts: 8 })
    expect(Date.parse(task.availableAt as string)).toBeLessThan(Date.now() + 2000)
    await expectInvariants(stage.db)
  })

  test('the end of the total time, and a cancel, end what sleeps', async ({ stage }) => {
    const { mission } = await waiting(stage, timer(86_400_000), { timeouts: { total: '1h' } })
    await pass(stage, 3601)
    await sweep(stage)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'failed', error: { code: 'total_timeout' } })
    const { mission: second } = await waiting(stage, forSignal())
    await stage.operator.call('POST', `/v1/missions/${second.id}:cancel`)
    expect((await stage.mission(second.id)).state).toBe('canceled')
    await expectInvariants(stage.db)
  })

  test('is not set by an attempt that was canceled meanwhile, is over, or is not the current one', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(crewOf('x', [{ id: 'a' }]))
    const task = await one(agent)
    await stage.operator.call('POST', `/v1/missions/${mission.id}:cancel`)
    expect((await suspend(agent, task, timer(0))).body.results[0]).toEqual(
      expect.objectContaining({ status: 'accepted', state: 'canceled' }),
    )
    expect((await suspend(agent, task, timer(0))).status).toBe(409)
    const { agent: sleeper, mission: other } = await waiting(stage, timer(0))
    const [late] = (await stage.tasks(other.id)) as [Task]
    expect(
      (await sleeper.report({ taskId: late.id, attempt: 1, outcome: 'waiting', wait: timer(0) })).body.results[0]
        ?.status,
    ).toBe('replayed')
    expect((await sleeper.report({ taskId: late.id, attempt: 1, outcome: 'completed', output: 1 })).status).toBe(409)
    await expectInvariants(stage.db)
  })

  test('a name is waited for once, and `wait` goes with its outcome', async ({ stage }) => {
    const { agent, mission } = await waiting(stage, timer(0))
    await sweep(stage)
    await suspend(agent, await one(agent), timer(0))
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'failed', error: { code: 'wait_repeated' } })
    const result = { taskId: newId(), attempt: 1 }
    for (const wrong of [
      { ...result, outcome: 'waiting' },
      { ...result, outcome: 'completed', wait: timer(0) },
    ])
      expect((await agent.report(wrong)).status).toBe(400)
    await expectInvariants(stage.db)
  })
})

describe('a signal', () => {
  test('ends the wait for it and brings its payload', async ({ stage, tenant }) => {
    const { agent, mission } = await waiting(stage, forSignal())
    expect((await stage.tasks(mission.id))[0]?.reason).toBe('waits for the signal go (go)')
    expect((await signal(stage, mission.id, { name: 'stop' })).status).toBe(202)
    const answer = await signal(stage, mission.id, { name: 'go', payload: { by: 'hand' } })
    expect(answer).toMatchObject({ status: 200, body: { taskId: (await stage.tasks(mission.id))[0]?.id } })
    const again = await one(agent)
    expect(again.steps).toEqual([{ name: 'wait:go', response: { timedOut: false, payload: { by: 'hand' } } }])
    await agent.complete(again)
    expect(await signal(stage, mission.id, { name: 'go' })).toMatchObject({ status: 409, body: { code: 'conflict' } })
    const audit = await stage.db.selectFrom('audit').selectAll().where('action', '=', 'mission.signaled').execute()
    expect(audit).toEqual([
      expect.objectContaining({ actor: stage.operator.subject, ref: mission.id, tenant_id: tenant.id }),
      expect.objectContaining({ detail: { signal: 'go', signalId: answer.body.id } }),
    ])
    expect((await stage.events(mission.id)).filter((event) => event.type === 'mission.signaled')).toHaveLength(2)
    await expectInvariants(stage.db)
  })

  test('that comes before its wait is kept, in order, and none is used twice', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(crewOf('x', [{ id: 'a' }, { id: 'b' }, { id: 'c' }]))
    for (const [payload, task] of [[1], [2, 'c'], [3]]) await signal(stage, mission.id, { name: 'go', payload, task })
    const tasks = (await agent.claim()).toSorted((x, y) => (x.key < y.key ? -1 : 1))
    for (const task of tasks) await suspend(agent, task, forSignal())
    const again = (await agent.claim()).toSorted((x, y) => (x.key < y.key ? -1 : 1))
    expect(
      again.map((task) => [task.key, (task.steps[0]?.response as { payload: number } | undefined)?.payload]),
    ).toEqual([
      ['a', 1],
      ['b', 3],
      ['c', 2],
    ])
    for (const task of again) await suspend(agent, task, forSignal('more'))
    expect(new Set((await stage.tasks(mission.id)).map((task) => task.state))).toEqual(new Set(['waiting']))
    await expectInvariants(stage.db)
  })

  test('ends one wait, that of the task which has waited longest; or of the task it names', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(crewOf('x', [{ id: 'a' }, { id: 'b' }, { id: 'c' }]))
    const tasks = await agent.claim()
    for (const key of ['b', 'a', 'c'])
      await suspend(agent, tasks.find((task) => task.key === key) as ClaimedTask, forSignal())
    await signal(stage, mission.id, { name: 'go' })
    expect((await agent.claim()).map((task) => task.key)).toEqual(['b'])
    await signal(stage, mission.id, { name: 'go', task: 'c' })
    expect((await agent.claim()).map((task) => task.key)).toEqual(['c'])
    await expectInvariants(stage.db)
  })

  test('that does not come in time is told as that, and one that comes later is kept', async ({ stage }) => {
    const { agent, mission } = await waiting(stage, forSignal('go', 60_000))
    await sweep(stage)
    expect((await stage.tasks(mission.id))[0]?.state).toBe('waiting')
    await pass(stage, 61)
    await sweep(stage)
    expect((await signal(stage, mission.id, { name: 'go' })).status).toBe(202)
    expect((await one(agent)).steps).toEqual([{ name: 'wait:go', response: { timedOut: true } }])
    await expectInvariants(stage.db)
  })

  test('and its time come at once: one of them counts', async ({ stage, replica }) => {
    const agent = await stage.agent(['work'], { slots: 50 })
    const missions = await Promise.all(
      Array.from({ length: 30 }, async () => await stage.submit(crewOf('x', [{ id: 'a' }]))),
    )
    const tasks = await agent.claim({ max: 50 })
    await Promise.all(tasks.map(async (task) => await suspend(agent, task, forSignal('go', 0))))
    const [answers] = await Promise.all([
      Promise.all(missions.flatMap(({ id }) => [stage, replica].map((one) => signal(one, id, { name: 'go' })))),
      sweep(stage),
      sweep(replica),
    ])
    // Taken by a wait, or kept.
    expect(answers.filter(({ status }) => status !== 200 && status !== 202)).toEqual([])
    await sweep(stage)
    const again = await agent.claim({ max: 50 })
    expect(again).toHaveLength(30)
    for (const task of again) expect(task.steps).toHaveLength(1)
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  })

  test('repeated under its key is one signal; another one under that key is refused', async ({ stage }) => {
    const { agent, mission } = await waiting(stage, forSignal())
    const first = await signal(stage, mission.id, { name: 'go', payload: 1 }, 'k')
    expect(await signal(stage, mission.id, { name: 'go', payload: 1 }, 'k')).toMatchObject({
      status: 200,
      body: first.body,
    })
    expect((await signal(stage, mission.id, { name: 'go', payload: 2 }, 'k')).body.code).toBe('idempotency_mismatch')
    await suspend(agent, await one(agent), forSignal('go-2'))
    expect((await stage.tasks(mission.id))[0]?.state).toBe('waiting')
    await expectInvariants(stage.db)
  })

  test('has a size, and reaches only missions of the own tenant', async ({ stage, secondTenant }) => {
    const { mission } = await waiting(stage, forSignal())
    expect((await signal(stage, mission.id, { name: 'go', payload: 'x'.repeat(70_000) })).status).toBe(422)
    const stranger = await stage.as(secondTenant)
    expect((await stranger.call('POST', `/v1/missions/${mission.id}:signal`, { name: 'go' })).status).toBe(404)
    expect((await stage.tasks(mission.id))[0]?.state).toBe('waiting')
    await expectInvariants(stage.db)
  })
})
