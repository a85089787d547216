import type { ClaimedTask, DeadLetter, Task } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit'
import { createBrake } from '../../src/domain/brake.ts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants, expectNoDeadlocks } from '../invariants.ts'

/** Moves instants of tasks into the past instead of waiting for them. */
const overdue = async (stage: Stage, column: string, where = 'true'): Promise<void> =>
  void (await sql
    .raw(`update tasks set ${column} = now() - interval '1 ms' where ${column} is not null and ${where}`)
    .execute(stage.db))

const oneTask = (more: Record<string, unknown> = {}): object => crewOf('one', [{ id: 'a', ...more }])

async function claimed(stage: Stage, manifest: object): Promise<{ agent: AgentCaller; task: ClaimedTask }> {
  const agent = await stage.agent(['work'])
  await stage.submit(manifest)
  const [task] = (await agent.claim()) as [ClaimedTask]
  return { agent, task }
}

const readTask = async (stage: Stage, id: string): Promise<Task> =>
  (await stage.operator.call<Task>('GET', `/v1/tasks/${id}`)).body
const letters = async (stage: Stage): Promise<DeadLetter[]> =>
  (await stage.operator.call<{ items: DeadLetter[] }>('GET', '/v1/dead-letters')).body.items

describe('a lease that runs out', () => {
  test('gives the task to another attempt, and the late agent is fenced', async ({ stage }) => {
    const { agent, task } = await claimed(stage, oneTask({ retry: { initialInterval: '1ms' } }))
    await sweep(stage)
    expect((await readTask(stage, task.taskId)).state).toBe('executing')
    await overdue(stage, 'lease_expires_at')
    await sweep(stage)
    expect(await readTask(stage, task.taskId)).toMatchObject({
      state: 'scheduled',
      error: { code: 'lease_lost' },
      reason: 'attempt 1 ended: lease_lost',
    })
    await overdue(stage, 'available_at')
    await sweep(stage)
    const other = await stage.agent(['work'])
    const [again] = (await other.claim()) as [ClaimedTask]
    expect(again).toMatchObject({ taskId: task.taskId, attempt: 2 })
    expect((await agent.complete(task)).status).toBe(409)
    expect((await other.complete(again)).status).toBe(200)
    await expectInvariants(stage.db)
  })

  test('a task that kills every agent fails after exactly its attempts, with the record of each', async ({ stage }) => {
    const agents = await Promise.all([1, 2, 3].map(() => stage.agent(['work'])))
    const mission = await stage.submit(oneTask({ retry: { maxAttempts: 3, initialInterval: '1ms' } }))
    for (const [index, agent] of agents.entries()) {
      expect(await agent.claim()).toMatchObject([{ attempt: index + 1, maxAttempts: 3 }])
      await overdue(stage, 'lease_expires_at')
      await sweep(stage)
      await overdue(stage, 'available_at')
      await sweep(stage)
    }
    expect(await stage.mission(mission.id)).toMatchObject({
      state: 'failed',
      error: { code: 'lease_lost', message: 'task a: the agent of attempt 3 stopped beating' },
    })
    const [letter] = await letters(stage)
    expect(
      letter?.attempts.map(({ attempt, outcome, agentInstanceId, error }) => [
        attempt,
        outcome,
        agentInstanceId,
        error?.code,
      ]),
    ).toEqual(agents.map((agent, index) => [index + 1, 'lease_lost', agent.instanceId, 'lease_lost']))
    expect(await (agents[0] as AgentCaller).claim({ waitMs: 0 })).toEqual([])
    await expectInvariants(stage.db)
  })

  test('waits while the brake holds, and is taken when it lets go', async ({ stage }) => {
    const { task } = await claimed(stage, oneTask())
    await overdue(stage, 'lease_expires_at')
    const brake = createBrake(200, 1)
    brake.failed()
    await sweep(stage, { brake })
    expect(brake.holding).toBe(true)
    expect((await readTask(stage, task.taskId)).state).toBe('executing')
    await waitFor(
      async () => {
        await sweep(stage, { brake })
        return (await readTask(stage, task.taskId)).state !== 'executing'
      },
      { what: 'the lease is taken' },
    )
    expect(await readTask(stage, task.taskId)).toMatchObject({ attempt: 1, error: { code: 'lease_lost' } })
  })

  // Goal: after an outage nothing waits for the brake that no beat can bring back. Method: of three leases that ran out one holder has
  // registered again, one was stopped and one is silent; the sweeper has just been away itself.
  test('waits for no brake when its holder registered again or was stopped', async ({ stage }) => {
    const held = [await claimed(stage, oneTask()), await claimed(stage, oneTask()), await claimed(stage, oneTask())]
    const [back, stopped, silent] = held as [(typeof held)[0], (typeof held)[0], (typeof held)[0]]
    const instances = stage.db.updateTable('agent_instances')
    await instances
      .set({ incarnation: back.agent.incarnation + 1 })
      .where('id', '=', back.agent.instanceId)
      .execute()
    await instances.set({ lifecycle: 'stopped' }).where('id', '=', stopped.agent.instanceId).execute()
    const brake = createBrake(15_000, 1000)
    brake.failed()
    await sweep(stage, { brake }) // a lease that has not run out is nobody's, whoever holds it
    for (const { task } of held) expect((await readTask(stage, task.taskId)).state).toBe('executing')
    await overdue(stage, 'lease_expires_at')
    await sweep(stage, { brake })
    expect(brake.holding).toBe(true)
    const states = await Promise.all(held.map(async ({ task }) => (await readTask(stage, task.taskId)).state))
    expect(states).toEqual(['scheduled', 'scheduled', 'executing'])
    expect((await readTask(stage, silent.task.taskId)).attempt).toBe(1)
    await expectInvariants(stage.db)
  })

  test('does not hold up timers: they fire while the brake holds', async ({ stage }) => {
    const { agent, task } = await claimed(stage, oneTask())
    const wait = { kind: 'timer', name: 'nap', delayMs: 60_000 }
    await agent.report({ taskId: task.taskId, attempt: 1, outcome: 'waiting', wait })
    await sql`update waits set fire_at = now() - interval '1 ms'`.execute(stage.db)
    await overdue(stage, 'available_at')
    const brake = createBrake(15_000, 1000)
    brake.failed()
    await sweep(stage, { brake })
    expect(brake.holding).toBe(true)
    expect((await readTask(stage, task.taskId)).state).toBe('queued')
    await expectInvariants(stage.db)
  })

  test('of holders that registered again counts for no share of silent ones', async ({ stage }) => {
    const [many, one] = [await stage.agent(['work'], { slots: 20 }), await stage.agent(['other'])]
    await stage.submit(crewOf('fan', [{ id: 'each', forEach: Array.from({ length: 20 }, () => 0) }]))
    await stage.submit(oneTask({ skill: 'other' }))
    expect(await many.claim({ max: 20 })).toHaveLength(20)
    const [alone] = (await one.claim()) as [ClaimedTask]
    await overdue(stage, 'lease_expires_at')
    const { instanceId, incarnation } = many
    await stage.db
      .updateTable('agent_instances')
      .set({ incarnation: incarnation + 1 })
      .where('id', '=', instanceId)
      .execute()
    await sweep(stage)
    const executing = await stage.db.selectFrom('tasks').select('id').where('state', '=', 'executing').execute()
    expect(executing).toEqual([])
    expect((await readTask(stage, alone.taskId)).state).toBe('scheduled')
    await expectInvariants(stage.db)
  })

  test('of many at once is taken gently', async ({ stage }) => {
    const agent = await stage.agent(['work'], { slots: 40 })
    await stage.submit(crewOf('fan', [{ id: 'each', forEach: Array.from({ length: 40 }, () => 0) }]))
    expect(await agent.claim({ max: 40 })).toHaveLength(40)
    await overdue(stage, 'lease_expires_at')
    const executing = async (): Promise<number> =>
      (await stage.db.selectFrom('tasks').select('id').where('state', '=', 'executing').execute()).length
    const brake = createBrake(15_000, 1000)
    const from = performance.now()
    await sweep(stage, { brake })
    expect(await executing()).toBe(39)
    const isLow = async (): Promise<boolean> => {
      await sweep(stage, { brake })
      const taken = 40 - (await executing())
      expect(taken).toBeLessThanOrEqual(1 + (5 * (performance.now() - from)) / 1000)
      return taken >= 10
    }
    await waitFor(isLow, { what: 'ten leases that are taken', timeoutMs: 10_000 })
    await expectInvariants(stage.db)
  })
})

describe('the four time-outs', () => {
  test('queue: nobody took it in time', async ({ stage }) => {
    const mission = await stage.submit(
      oneTask({ skill: 'rare', timeouts: { queue: '1h' }, retry: { onExhausted: 'pause' } }),
    )
    await sweep(stage)
    await overdue(stage, 'queue_deadline_at')
    await sweep(stage)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'failed', error: { code: 'queue_timeout' } })
    expect((await letters(stage))[0]?.error.message).toContain('it needs the skill rare')
    await expectInvariants(stage.db)
  })

  test('queue: the time begins anew with every time it is queued, and ends with the claim', async ({ stage }) => {
    const { agent, task } = await claimed(stage, oneTask({ timeouts: { queue: '1h' } }))
    const deadline = async () =>
      (await stage.db.selectFrom('tasks').select('queue_deadline_at').executeTakeFirstOrThrow()).queue_deadline_at
    expect(await deadline()).toBeNull()
    await agent.report({ taskId: task.taskId, attempt: 1, outcome: 'released' })
    expect((await deadline())?.getTime()).toBeGreaterThan(Date.now() + 3_500_000)
  })

  test('attempt: it takes too long, and the next attempt has the same time again', async ({ stage }) => {
    const { agent, task } = await claimed(
      stage,
      oneTask({ timeouts: { attempt: '20m' }, retry: { initialInterval: '1ms' } }),
    )
    expect(task.attemptTimeoutMs).toBeGreaterThan(1_190_000)
    await overdue(stage, 'attempt_deadline_at')
    await sweep(stage)
    expect(await readTask(stage, task.taskId)).toMatchObject({ state: 'scheduled', error: { code: 'attempt_timeout' } })
    expect((await agent.complete(task)).status).toBe(409)
    await overdue(stage, 'available_at')
    await sweep(stage)
    expect((await agent.claim())[0]?.attemptTimeoutMs).toBeGreaterThan(1_190_000)
    await expectInvariants(stage.db)
  })

  test('heartbeat: it shows no progress; each sign of it, a step too, begins the time anew', async ({ stage }) => {
    const { agent, task } = await claimed(stage, oneTask({ timeouts: { heartbeat: '45s' } }))
    const fence = { incarnation: 1, attempt: 1 }
    const signs: (() => Promise<{ status: number }>)[] = [
      () => agent.call('POST', `/v1/tasks/${task.taskId}/progress`, { ...fence, fraction: 0.5 }),
      () => agent.call('PUT', `/v1/tasks/${task.taskId}/steps/one`, { ...fence, response: 1 }),
      () =>
        agent.call('PUT', `/v1/tasks/${task.taskId}/artifacts/a.txt?incarnation=1&attempt=1`, Buffer.from('x'), {
          'content-type': 'text/plain',
        }),
    ]
    for (const sign of signs) {
      await overdue(stage, 'progress_deadline_at')
      expect((await sign()).status).toBeLessThan(300)
      await sweep(stage)
      expect((await readTask(stage, task.taskId)).state).toBe('executing')
    }
    await overdue(stage, 'progress_deadline_at')
    await sweep(stage)
    expect(await readTask(stage, task.taskId)).toMatchObject({
      state: 'scheduled',
      error: { code: 'heartbeat_timeout' },
    })
    await expectInvariants(stage.db)
  })

  test('total: over all attempts and waits, from the first time it was queued', async ({ stage }) => {
    const { agent, task } = await claimed(
      stage,
      oneTask({ timeouts: { total: '2h' }, retry: { initialInterval: '1h', maxInterval: '1h' } }),
    )
    const deadline = async () =>
      (await stage.db.selectFrom('tasks').select('total_deadline_at').executeTakeFirstOrThrow()).total_deadline_at
    const first = await deadline()
    await agent.fail(task, { retryAfterMs: 60_000 })
    expect(await deadline()).toEqual(first)
    await overdue(stage, 'total_deadline_at')
    await sweep(stage)
    expect(await readTask(stage, task.taskId)).toMatchObject({ state: 'failed', error: { code: 'total_timeout' } })
    expect((await stage.mission(task.missionId)).state).toBe('failed')
    await expectInvariants(stage.db)
  })

  test('total: of an executing task leaves no further attempt', async ({ stage }) => {
    const { agent, task } = await claimed(stage, oneTask({ timeouts: { total: '2h' } }))
    await overdue(stage, 'total_deadline_at')
    await sweep(stage)
    expect(await readTask(stage, task.taskId)).toMatchObject({ state: 'failed', attempt: 1 })
    expect((await agent.complete(task)).status).toBe(409)
    await expectInvariants(stage.db)
  })
})

describe('back-off', () => {
  test('the next attempt waits within its jitter, and no sweep before that queues it', async ({ stage }) => {
    const { agent, task } = await claimed(stage, oneTask({ retry: { initialInterval: '30s', maxInterval: '30s' } }))
    await agent.fail(task, { retryAfterMs: 10_000 })
    const { availableAt, state } = await readTask(stage, task.taskId)
    const waitMs = Date.parse(availableAt ?? '') - Date.now()
    expect(state).toBe('scheduled')
    expect(waitMs).toBeGreaterThan(9000)
    expect(waitMs).toBeLessThanOrEqual(30_000)
    await sweep(stage)
    expect((await readTask(stage, task.taskId)).state).toBe('scheduled')
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
  })

  test('when it is over, a claim that waits is woken', async ({ stage }) => {
    const { agent, task } = await claimed(stage, oneTask({ retry: { initialInterval: '1h' } }))
    await agent.fail(task)
    const next = agent.claim({ waitMs: 20_000 })
    await overdue(stage, 'available_at')
    await sweep(stage)
    expect(await next).toMatchObject([{ attempt: 2 }])
  })

  test('a task that no attempt can help is not tried again', async ({ stage }) => {
    const { agent, task } = await claimed(stage, oneTask({ retry: { nonRetryable: ['schema_invalid'] } }))
    await agent.fail(task, { code: 'schema_invalid' })
    expect(await readTask(stage, task.taskId)).toMatchObject({ state: 'failed', attempt: 1 })
    expect(await letters(stage)).toHaveLength(1)
  })
})

describe('a mission', () => {
  test('past its deadline ends: what waits is canceled, what runs has its grace', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(
      crewOf('two', [{ id: 'a' }, { id: 'b' }, { id: 'c', dependsOn: ['a'] }], { policy: { deadline: '1h' } }),
    )
    const [running] = (await agent.claim({ max: 1 })) as [ClaimedTask]
    await sql`update missions set deadline_at = now() - interval '1 ms'`.execute(stage.db)
    await sweep(stage)
    expect(await stage.mission(mission.id)).toMatchObject({
      state: 'running',
      tasks: { open: 1 },
      cancelRequestedAt: expect.any(String),
    })
    expect((await agent.complete(running, 'done')).status).toBe(200)
    expect(await stage.mission(mission.id)).toMatchObject({ state: 'failed', error: { code: 'deadline_exceeded' } })
    const requests = (await stage.events(mission.id)).filter((event) => event.type === 'mission.cancel_requested')
    expect(requests).toMatchObject([{ body: { reason: 'deadline' } }])
    await expectInvariants(stage.db)
  })
})

test('what cannot be changed stops no other: not a task, and not a mission', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const missions = []
  for (let index = 0; index < 3; index += 1) missions.push(await stage.submit(oneTask()))
  const late = await stage.submit(crewOf('late', [{ id: 'a', skill: 'nobody' }], { policy: { deadline: '1h' } }))
  const tasks = await agent.claim()
  // A row that our decisions cannot read.
  await sql`update tasks set retry = 'null', lease_expires_at = now() - interval '1 hour' where id = ${tasks[0]?.taskId}`.execute(
    stage.db,
  )
  await overdue(stage, 'lease_expires_at', `id <> '${tasks[0]?.taskId}'`)
  await sql`update missions set deadline_at = now() where id = ${late.id}`.execute(stage.db)
  const faults: string[] = []
  await sweep(stage, { onFault: (_, id) => faults.push(id) })
  expect(faults).toEqual([tasks[0]?.taskId])
  const states = await Promise.all(tasks.map((task) => readTask(stage, task.taskId)))
  expect(states.map((task) => task.state)).toEqual(['executing', 'scheduled', 'scheduled'])
  expect((await stage.mission(late.id)).state).toBe('failed')
  await expectInvariants(stage.db)
})

describe('two replicas', () => {
  test('that sweep at once take every due task once', async ({ stage, replica }) => {
    const agent = await stage.agent(['work'], { slots: 600 })
    const mission = await stage.submit(
      crewOf('fan', [{ id: 'each', forEach: Array.from({ length: 600 }, () => 0), retry: { initialInterval: '1ms' } }]),
    )
    while ((await agent.claim({ max: 600, waitMs: 0 })).length > 0) continue
    await overdue(stage, 'attempt_deadline_at')
    await sql`update tasks set attempt_deadline_at = now() where state = 'executing'`.execute(stage.db)
    await Promise.all([sweep(stage), sweep(replica), sweep(stage), sweep(replica)])
    await overdue(stage, 'available_at', `state = 'scheduled'`)
    await Promise.all([sweep(stage), sweep(replica)])
    const events = await stage.events(mission.id)
    expect(events.filter((event) => event.type === 'task.retry.scheduled')).toHaveLength(600)
    const tasks = await stage.db.selectFrom('tasks').select('state').where('parent_id', 'is not', null).execute()
    expect(tasks.every((task) => task.state === 'queued')).toBe(true)
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  })

  test('one that ends a forEach for its total time while its elements complete: no circle of locks', async ({
    stage,
    replica,
  }) => {
    const agent = await stage.agent(['work'], { slots: 100 })
    for (let round = 0; round < 8; round += 1) {
      const mission = await stage.submit(
        crewOf('fan', [{ id: 'each', forEach: [1, 2, 3, 4, 5, 6], timeouts: { total: '1h' } }], {
          policy: { onTaskFailure: 'continue' },
        }),
      )
      const tasks = await agent.claim({ max: 6 })
      await sql`update tasks set total_deadline_at = now() where state = 'waiting'`.execute(stage.db)
      await Promise.all([...tasks.map((task) => agent.complete(task, 1)), sweep(stage), sweep(replica), sweep(replica)])
      await sweep(stage)
      expect((await stage.mission(mission.id)).tasks.open).toBe(0)
    }
    await expectInvariants(stage.db)
    await expectNoDeadlocks(stage.db)
  })
})
