import type { AuditEntry, ClaimedTask, Queue } from '@hypercode/contracts'
import { createTestTenant, waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import { STILL, crewOf, test } from '../harness.ts'
import type { Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const single = (more: Record<string, unknown> = {}): object => crewOf('single', [{ id: 'only', ...more }])
const waitingClaims = async (stage: Stage, count: number): Promise<unknown> =>
  await waitFor(() => stage.orchestrator.engine.desk.waiting === count, { what: `${count} waiting claims` })
const missionsOf = (tasks: readonly ClaimedTask[]): string[] => tasks.map((task) => task.missionId)

describe('what is next', () => {
  test.override({ settings: STILL })

  test('nothing starves: a task of the lowest priority comes before urgent ones that are young enough', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    const submit = async (priority: number): Promise<string> =>
      (await stage.operator.call<{ id: string }>('POST', '/v1/missions', { manifest: single(), priority })).body.id
    const low = await submit(-100)
    // A step of priority is worth ten minutes: 200 of them are less than two days.
    await sql`update tasks set available_at = available_at - interval '33 hours' where mission_id = ${low}`.execute(
      stage.db,
    )
    const urgent = await submit(100)
    expect(missionsOf(await agent.claim({ max: 1 }))).toEqual([urgent])
    await sql`update tasks set available_at = available_at - interval '1 hour' where mission_id = ${low}`.execute(
      stage.db,
    )
    await submit(100)
    expect(missionsOf(await agent.claim({ max: 1 }))).toEqual([low])
  })

  test('a mission of ten thousand tasks lets a small one of the same priority in', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const each = Array.from({ length: 10_000 }, (_, n) => n)
    const large = await stage.submit(crewOf('large', [{ id: 'all', forEach: each, input: '${item}' }]))
    const small = await stage.submit(crewOf('small', [{ id: 'a' }, { id: 'b' }, { id: 'c' }], { process: 'parallel' }))
    const taken = missionsOf(await agent.claim({ max: 6 }))
    expect(taken.filter((id) => id === small.id)).toHaveLength(3)
    expect(taken.filter((id) => id === large.id)).toHaveLength(3)
  })

  test('a task that is tried again does not go to the end of its mission', async ({ stage }) => {
    const agent = await stage.agent(['work'], { slots: 2 })
    const each = Array.from({ length: 50 }, (_, n) => n)
    await stage.submit(crewOf('many', [{ id: 'all', forEach: each, retry: { initialInterval: '1ms' } }]))
    const [, second] = (await agent.claim({ max: 2 })) as [ClaimedTask, ClaimedTask]
    await agent.report({ taskId: second.taskId, attempt: 1, outcome: 'released' })
    const again = await agent.claim({ max: 1 })
    expect(again[0]?.taskId).toBe(second.taskId)
  })
})

describe('a paused queue', () => {
  test('gives nothing out, keeps what runs, and is served again at once when it is resumed', async ({ stage }) => {
    const agent = await stage.agent(['work', 'other'])
    await stage.submit(single())
    const [running] = (await agent.claim()) as [ClaimedTask]
    const paused = await stage.operator.call<Queue>('POST', '/v1/queues/work:pause')
    expect(paused.body).toMatchObject({ queue: 'work', paused: true, pausedBy: stage.operator.subject, executing: 1 })
    const mission = await stage.submit(single())
    expect(await agent.claim({ waitMs: 300 })).toEqual([])
    const other = await stage.submit(single({ skill: 'other' }))
    expect(missionsOf(await agent.claim())).toEqual([other.id])
    expect((await agent.complete(running)).body.results[0]?.status).toBe('accepted')
    const claim = agent.claim({ waitMs: 20_000 })
    await waitingClaims(stage, 1)
    expect((await stage.operator.call<Queue>('POST', '/v1/queues/work:resume')).body.paused).toBe(false)
    expect(missionsOf(await claim)).toEqual([mission.id])
    await expectInvariants(stage.db)
  })

  test('is paused and resumed once, with who did it in the audit, and for its tenant alone', async ({ stage, db }) => {
    for (const verb of ['pause', 'pause', 'resume', 'resume'])
      expect((await stage.operator.call('POST', `/v1/queues/work:${verb}`)).status).toBe(200)
    const audit =
      await sql<AuditEntry>`select actor, action, ref from audit where action like 'queue.%' order by id`.execute(db)
    expect(audit.rows).toEqual(
      ['queue.paused', 'queue.resumed'].map((action) => ({ actor: stage.operator.subject, action, ref: 'work' })),
    )
    const foreign = await stage.as(await createTestTenant(db))
    await foreign.call('POST', '/v1/queues/work:pause')
    const agent = await stage.agent(['work'])
    const mission = await stage.submit(single())
    expect(missionsOf(await agent.claim())).toEqual([mission.id])
    expect((await foreign.call<{ items: Queue[] }>('GET', '/v1/queues')).body.items).toMatchObject([
      { queue: 'work', paused: true, depth: 0, executing: 0 },
    ])
  })
})

test('queues are listed with depth, the age of the oldest task, what executes and their settings', async ({
  stage,
  tenant,
}) => {
  const agent = await stage.agent(['b'])
  for (const skill of ['a', 'b', 'b', 'b', 'c']) await stage.submit(single({ skill }))
  await agent.claim({ max: 1 })
  await sql`update tasks set available_at = now() - interval '1 hour' where queue = 'a'`.execute(stage.db)
  await stage.operator.call('PUT', '/v1/queues/d.e@pool/limits', { maxExecuting: 7 })
  const list = async (query: string) =>
    (await stage.operator.call<{ items: Queue[]; nextCursor?: string }>('GET', `/v1/queues${query}`)).body
  const first = await list('?limit=2')
  expect(first.items).toMatchObject([
    { queue: 'a', depth: 1, executing: 0, paused: false },
    { queue: 'b', depth: 2, executing: 1 },
  ])
  expect(first.items[0]?.oldestAgeMs).toBeGreaterThanOrEqual(3_600_000)
  const rest = await list(`?limit=2&cursor=${first.nextCursor}`)
  expect(rest).toMatchObject({ items: [{ queue: 'c' }, { queue: 'd.e@pool', depth: 0, maxExecuting: 7 }] })
  expect(rest).not.toHaveProperty('nextCursor')
  expect((await stage.operator.call('POST', '/v1/queues/No%20Queue:pause')).status).toBe(400)
  expect((await (await stage.as(tenant, ['mission:read'])).call('POST', '/v1/queues/a:pause')).status).toBe(403)
})

describe('a limited queue', () => {
  test('executes no more than its limit, whoever claims, and goes on when one ends', async ({ stage, replica }) => {
    await stage.operator.call('PUT', '/v1/queues/work/limits', { maxExecuting: 3 })
    for (let n = 0; n < 12; n += 1) await stage.submit(single())
    const agents = await Promise.all([stage, replica, stage, replica].map(async (one) => await one.agent(['work'])))
    const given = (await Promise.all(agents.map((agent) => agent.claim({ waitMs: 500 })))).flat()
    expect(given).toHaveLength(3)
    const claim = (agents[0] as (typeof agents)[0]).claim({ waitMs: 20_000 })
    const holder = agents.find((agent) => agent !== agents[0]) as (typeof agents)[0]
    await sql`update tasks set lease_owner = ${holder.instanceId} where state = 'executing'`.execute(stage.db)
    await sql`update attempts set agent_instance_id = ${holder.instanceId} where ended_at is null`.execute(stage.db)
    expect((await holder.complete(given[0] as ClaimedTask)).body.results[0]?.status).toBe('accepted')
    expect(await claim).toHaveLength(1)
    await stage.operator.call('PUT', '/v1/queues/work/limits', { maxExecuting: null })
    expect(await holder.claim({ max: 10 })).not.toHaveLength(0)
  })
})

describe('tasks with a concurrency key', () => {
  // Nobody looks by itself in time: who waits for a place is told of it.
  test.override({ settings: { CLAIM_POLL_MS: STILL.CLAIM_POLL_MS } })

  const keyed = (key: string, limit: number, skill = 'work'): object => single({ skill, concurrency: { key, limit } })

  test('execute at most as many at once as the limit says, and a waiting claim gets the next when one ends', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    for (let n = 0; n < 5; n += 1) await stage.submit(keyed('repo', 2))
    const free = await stage.submit(single())
    const given = await agent.claim()
    expect(given).toHaveLength(3)
    expect(missionsOf(given)).toContain(free.id)
    const claim = agent.claim({ waitMs: 20_000 })
    await waitingClaims(stage, 1)
    await agent.complete(given.find((task) => task.missionId !== free.id) as ClaimedTask)
    expect(await claim).toHaveLength(1)
    await expectInvariants(stage.db)
  })

  test('wait for each other across skills, and agents of the other skill are woken', async ({ stage }) => {
    const [one, two] = [await stage.agent(['one']), await stage.agent(['two'])]
    await stage.submit(keyed('deploy', 1, 'one'))
    const [first] = (await one.claim()) as [ClaimedTask]
    const next = await stage.submit(keyed('deploy', 1, 'two'))
    const claim = two.claim({ waitMs: 20_000 })
    await waitingClaims(stage, 1)
    await one.complete(first)
    expect(missionsOf(await claim)).toEqual([next.id])
  })

  test('hold their place only while they execute: an agent that is silent holds none after its lease', async ({
    stage,
  }) => {
    const agent = await stage.agent(['work'])
    await stage.submit(single({ concurrency: { key: 'k', limit: 1 }, retry: { maxAttempts: 1 } }))
    const next = await stage.submit(keyed('k', 1))
    expect(await agent.claim()).toHaveLength(1)
    // Its lease runs out; the sweeps of the service find that by themselves.
    await sql`update tasks set lease_expires_at = now() where state = 'executing'`.execute(stage.db)
    expect(missionsOf(await agent.claim({ waitMs: 20_000 }))).toEqual([next.id])
  })

  test('have the key that references make of it, also for each element of a forEach', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const concurrency = { key: 'repo-${item.repo}', limit: 1 }
    const items = [{ repo: 'a' }, { repo: 'a' }, { repo: 'b' }, { repo: 7 }]
    await stage.submit(crewOf('x', [{ id: 'all', forEach: '${mission.input}', input: '${item}', concurrency }]), items)
    const given = await agent.claim()
    expect(given).toHaveLength(3)
    expect(given.map((task) => (task.input as { repo: unknown }).repo)).toEqual(expect.arrayContaining([7, 'a', 'b']))
    const broken = await stage.submit(
      crewOf('y', [{ id: 'one', concurrency: { key: '${mission.input}', limit: 1 } }]),
      'x'.repeat(201),
    )
    expect((await stage.tasks(broken.id))[0]).toMatchObject({
      state: 'failed',
      error: { code: 'reference_unresolved' },
    })
  })

  test('are all found, also with more keys than one claim looks at', async ({ stage }) => {
    const agent = await stage.agent(['work'], { slots: 100 })
    const each = Array.from({ length: 1600 }, (_, n) => n)
    const concurrency = { key: 'k-${item}', limit: 1 }
    await stage.submit(crewOf('x', [{ id: 'all', forEach: each, input: '${item}', concurrency }]))
    const seen = new Set<unknown>()
    while (seen.size < each.length) {
      const tasks = await agent.claim({ max: 100 })
      expect(tasks.length).toBeGreaterThan(0)
      for (const task of tasks) seen.add(task.input)
      await Promise.all(tasks.map((task) => agent.complete(task)))
    }
  }, 60_000)

  test('of other tenants are other keys', async ({ stage, db }) => {
    const tenant = await createTestTenant(db)
    const mine = await stage.agent(['work'])
    const theirs = await stage.agent(['work'], { tenant })
    await stage.submit(keyed('k', 1))
    await (await stage.as(tenant)).call('POST', '/v1/missions', { manifest: keyed('k', 1) })
    expect(await mine.claim()).toHaveLength(1)
    expect(await theirs.claim()).toHaveLength(1)
  })

  test('never exceed the limit while two replicas lease as fast as they can', async ({ stage, replica }) => {
    const KEYS = { a: 1, b: 2, c: 5 } as const
    const missions = Object.entries(KEYS).flatMap(([key, limit]) =>
      Array.from({ length: 80 }, () => ({ manifest: keyed(key, limit) })),
    )
    await stage.operator.call('POST', '/v1/missions:batch', { missions })
    const agents = await Promise.all(
      Array.from({ length: 8 }, (_, n) => (n % 2 === 0 ? stage : replica).agent(['work', `kind-${n % 3}`])),
    )
    let done = 0
    let most = 0
    let over: unknown[] = []
    const watch = async (): Promise<void> => {
      while (done < missions.length) {
        const { rows } = await sql<{ key: string; n: number }>`
          select concurrency_key as key, count(*) as n from tasks where state = 'executing' group by 1`.execute(
          stage.db,
        )
        over = [...over, ...rows.filter(({ key, n }) => n > KEYS[key as keyof typeof KEYS])]
        most = Math.max(most, ...rows.map((row) => row.n))
      }
    }
    const work = async (agent: (typeof agents)[0]): Promise<void> => {
      while (done < missions.length) {
        const tasks = await agent.claim({ max: 10, waitMs: 200 })
        await Promise.all(tasks.map((task) => agent.complete(task)))
        done += tasks.length
      }
    }
    await Promise.all([watch(), ...agents.map(work)])
    expect(over).toEqual([])
    expect(most).toBe(5)
    // No two attempts of key a overlapped, whatever the watcher missed.
    const { rows } = await sql`
      select x.task_id from attempts x join tasks t on t.id = x.task_id and t.concurrency_key = 'a' join attempts y on y.task_id <> x.task_id
      join tasks u on u.id = y.task_id and u.concurrency_key = 'a' where x.started_at >= y.started_at and x.started_at < y.ended_at limit 3`.execute(
      stage.db,
    )
    expect(rows).toEqual([])
    await expectInvariants(stage.db)
  }, 60_000)
})
