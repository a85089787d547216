import type { ClaimedTask } from '@hypercode/contracts'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { claimed, letters, oneTask, overdue, readTask } from './passing-time.ts'

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
    // However long ago the first one began.
    await sql`update tasks set started_at = now() - interval '1 hour'`.execute(stage.db)
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

  test('what the agent asks for is waited at least, however short the interval', async ({ stage }) => {
    const { agent, task } = await claimed(stage, oneTask({ retry: { initialInterval: '1ms', maxInterval: '1ms' } }))
    await agent.fail(task, { retryAfterMs: 60_000 })
    const { availableAt } = await readTask(stage, task.taskId)
    expect(Date.parse(availableAt ?? '') - Date.now()).toBeGreaterThan(50_000)
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
