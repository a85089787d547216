import { newId } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import { expect } from 'vitest'
import {
  isStable,
  listWatches,
  lookForTasks,
  moveWatch,
  readLiveScores,
  saveLiveScore,
  takeWatch,
} from '../src/store/live.ts'
import type { LiveWatch } from '../src/store/live.ts'
import { blueprintOf, storeBlueprint, suiteOf, test } from './gym.ts'
import type { Gym } from './gym.ts'

const OWNER = { owner: newId(), leaseMs: 60_000 }

/** `adder@1` is stable, and its gate has a suite that looks at production. */
async function watched(gym: Gym, db: Db, tenantId: string): Promise<LiveWatch> {
  const live = {
    sample: 1,
    scorers: [{ kind: 'path' as const, at: 'sum', exists: true }],
    rule: { kind: 'thresholds' as const, passRate: 0.8 },
  }
  await gym.call('POST', '/v1/gym/suites', suiteOf('silent'), { tenantId })
  await gym.call('POST', '/v1/gym/suites', suiteOf('watched', { live }), { tenantId })
  await storeBlueprint(db, tenantId, blueprintOf('adder', { gate: { suites: ['silent', 'watched'] } }))
  await makeStable(db, tenantId, 1)
  const [watch] = (await listWatches(db)).filter((one) => one.tenantId === tenantId)
  if (watch === undefined) throw new Error('nothing is watched')
  return watch
}

async function makeStable(db: Db, tenantId: string, version: number): Promise<void> {
  await sql`insert into blueprint_aliases (tenant_id, name, alias, version, updated_at) values (${tenantId}, 'adder', 'stable', ${version}, now() - interval '10 minutes')
    on conflict (tenant_id, name, alias) do update set version = excluded.version, updated_at = now()`.execute(db)
}

interface Executed {
  readonly version?: number
  readonly pool?: string
  readonly queue?: string
  readonly state?: string
  readonly agoS?: number
}

/** A task that an instance of the factory has executed. */
async function executed(
  db: Db,
  tenantId: string,
  { version = 1, pool, queue = 'math.add', state = 'completed', agoS = 60 }: Executed = {},
): Promise<string> {
  const [taskId, agentId, instanceId, clientId] = [newId(), newId(), newId(), newId()]
  await sql`insert into agents (id, tenant_id, name, version, skills, skill_ids) values (${agentId}, ${tenantId}, ${agentId}, '1', '[]', '{}')`.execute(
    db,
  )
  await sql`insert into agent_instances (id, tenant_id, agent_id, subject, version, skills, slots, lifecycle, health, incarnation, registered_at)
    values (${instanceId}, ${tenantId}, ${agentId}, ${clientId}, '1', '{}', 1, 'ready', 'passing', 1, now())`.execute(
    db,
  )
  await sql`insert into factory_instances (id, tenant_id, blueprint, version, hash, driver, role, pool, origin, client_id, lifecycle, desired)
    values (${newId()}, ${tenantId}, 'adder', ${version}, 'h', 'process', 'member', ${pool ?? null}, 'spawned', ${clientId}, 'ready', 'running')`.execute(
    db,
  )
  await sql`insert into tasks (id, tenant_id, mission_id, key, leaf, queue, state, attempt, max_attempts, retry, ended_at)
    values (${taskId}, ${tenantId}, ${newId()}, 'k', true, ${queue}, ${state}, 2, 3, '{}', now() - ${agoS} * interval '1 second')`.execute(
    db,
  )
  for (const [attempt, by] of [
    [1, newId()],
    [2, instanceId],
  ] as const) {
    await sql`insert into attempts (task_id, attempt, tenant_id, agent_instance_id, incarnation, claim_id, ended_at, outcome)
      values (${taskId}, ${attempt}, ${tenantId}, ${by}, 1, ${newId()}, now(), 'completed')`.execute(db)
  }
  return taskId
}

test('only suites with live scoring in the gate of a stable version are watched, by one process at a time', async ({
  gym,
  db,
  tenant,
}) => {
  const watch = await watched(gym, db, tenant.id)
  expect(watch).toMatchObject({ suite: 'watched', suiteVersion: 1, blueprint: 'adder', blueprintVersion: 1 })
  expect(await takeWatch(db, watch, OWNER)).toBe(true)
  expect(await takeWatch(db, watch, OWNER)).toBe(true)
  const other = { owner: newId(), leaseMs: 60_000 }
  expect(await takeWatch(db, watch, other)).toBe(false)
  await sql`update gym_live_watches set owner_until = now() - interval '1 second'`.execute(db)
  expect(await takeWatch(db, watch, other)).toBe(true)
})

test('production tasks of the stable version are found once, and none of the gym, of other versions, or of other tenants', async ({
  gym,
  db,
  tenant,
  secondTenant,
}) => {
  const watch = await watched(gym, db, tenant.id)
  const old = await executed(db, tenant.id, { agoS: 900 })
  const first = await executed(db, tenant.id, { agoS: 50 })
  const failed = await executed(db, tenant.id, { agoS: 40, state: 'failed' })
  const others = [
    await executed(db, tenant.id, { version: 2 }),
    await executed(db, tenant.id, { pool: 'gym-1' }),
    await executed(db, tenant.id, { queue: 'math.add@gym-1' }),
    await executed(db, tenant.id, { queue: 'math.other' }),
    await executed(db, tenant.id, { state: 'canceled' }),
    await executed(db, secondTenant.id),
  ]
  await takeWatch(db, watch, OWNER)
  const look = await lookForTasks(db, watch)
  expect(look.tasks.map(({ id }) => id)).toEqual([first, failed])
  expect([old, ...others]).not.toContain(look.tasks[0]?.id)
  // Only whoever has the watch moves it, and only forwards.
  await moveWatch(db, watch, newId(), failed)
  expect((await lookForTasks(db, watch)).tasks).toHaveLength(2)
  await moveWatch(db, watch, OWNER.owner, failed)
  await moveWatch(db, watch, OWNER.owner, first)
  expect((await lookForTasks(db, watch)).tasks).toEqual([])
  const fresh = await executed(db, tenant.id, { agoS: 2 })
  expect((await lookForTasks(db, watch)).tasks.map(({ id }) => id)).toEqual([fresh])
})

test('a task is scored once, and scores of before the promotion count no more', async ({ gym, db, tenant }) => {
  const watch = await watched(gym, db, tenant.id)
  const score = (taskId: string, passed: boolean) => ({
    taskId,
    passed,
    score: passed ? 1 : 0,
    scores: [],
    latencyMs: 5,
    usd: 0,
  })
  const [one, two] = [newId(), newId()]
  await saveLiveScore(db, watch, score(one, true))
  await saveLiveScore(db, watch, score(one, false))
  await saveLiveScore(db, watch, score(two, false))
  expect((await readLiveScores(db, watch)).map(({ state }) => state)).toEqual(['passed', 'failed'])
  expect(await readLiveScores(db, { ...watch, suiteVersion: 2 })).toEqual([])
  expect(await isStable(db, watch)).toBe(true)
  await makeStable(db, tenant.id, 2)
  expect(await isStable(db, watch)).toBe(false)
  await makeStable(db, tenant.id, 1)
  expect(await readLiveScores(db, watch)).toEqual([])
})
