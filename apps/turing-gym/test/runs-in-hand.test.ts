import { newId } from '@hypercode/contracts'
import type { GymRun, GymSample, Problem } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { endRun } from '../src/store/run-moves.ts'
import { markCleaned, releaseRun, renewRuns, takeRuns } from '../src/store/run-leases.ts'
import {
  beginTry,
  noteMission,
  openMissions,
  putBack,
  readPlan,
  saveErrored,
  saveResult,
} from '../src/store/samples.ts'
import { blueprintOf, storeBlueprint, suiteOf, test } from './gym.ts'
import { RUN, prepare, result } from './running.ts'

test('a run is in one pair of hands, which it leaves when they fall silent', async ({ gym, db, tenant }) => {
  await prepare(gym, db, tenant.id)
  const { id } = (await gym.call<GymRun>('POST', '/v1/gym/runs', RUN)).body
  const [first, second] = [newId(), newId()]
  const taken = await Promise.all([takeRuns(db, first, 60_000, 5), takeRuns(db, second, 60_000, 5)])
  expect(taken.flat().map((run) => [run.id, run.state, run.strikes])).toEqual([[id, 'running', 1]])
  const [owner, other] = taken[0].length === 1 ? [first, second] : [second, first]
  expect(await renewRuns(db, other, 60_000, [id])).toEqual([])
  expect(await renewRuns(db, owner, 60_000, [id])).toMatchObject([{ id, endedAt: null }])
  const [sample] = await readPlan(db, id)
  const sampleId = String(sample?.id)
  expect(await beginTry(db, other, sampleId)).toBeUndefined()
  expect(await beginTry(db, owner, sampleId)).toBe(1)

  await sql`update gym_runs set owner_until = now() - interval '1 second' where id = ${id}`.execute(db)
  expect(await renewRuns(db, owner, 60_000, [id])).toEqual([])
  expect(await takeRuns(db, other, 60_000, 5)).toMatchObject([{ id, strikes: 2 }])
  // Whoever was silent can write nothing any more.
  expect(await noteMission(db, owner, sampleId, newId())).toBe(false)
  expect(await putBack(db, owner, sampleId, 'late')).toBe(false)
  expect(await saveResult(db, owner, sampleId, result('passed'))).toBeUndefined()
  expect(await saveErrored(db, owner, sampleId, 'late')).toBeUndefined()
  expect(
    await endRun({ db, publish: () => undefined }, { id, tenantId: tenant.id }, owner, {
      state: 'failed',
      error: 'late',
      reasons: [],
    }),
  ).toBeUndefined()
  await releaseRun(db, owner, id)
  expect(await takeRuns(db, owner, 60_000, 5)).toEqual([])
  expect(await saveResult(db, other, sampleId, result('passed'))).toMatchObject({ passed: 1, strikes: 0 })
})

test('tenants with few runs under way come first', async ({ gym, db, tenant, secondTenant }) => {
  await prepare(gym, db, tenant.id)
  for (let n = 0; n < 4; n += 1) await gym.call('POST', '/v1/gym/runs', RUN)
  await takeRuns(db, newId(), 60_000, 2)
  await gym.call('POST', '/v1/gym/suites', suiteOf(), { tenantId: secondTenant.id })
  await storeBlueprint(db, secondTenant.id, blueprintOf())
  await gym.call('POST', '/v1/gym/runs', RUN, { tenantId: secondTenant.id })
  expect(await takeRuns(db, newId(), 60_000, 1)).toMatchObject([{ tenantId: secondTenant.id }])
})

test('samples are counted once, and a run keeps the results that it has over a cancel and a resume', async ({
  gym,
  db,
  tenant,
}) => {
  await prepare(gym, db, tenant.id)
  const { id } = (await gym.call<GymRun>('POST', '/v1/gym/runs', RUN)).body
  const owner = newId()
  await takeRuns(db, owner, 60_000, 1)
  const [first, second, third] = (await readPlan(db, id)).map((sample) => sample.id) as [string, string, string]
  const missions = [newId(), newId(), newId()]
  for (const [index, one] of [first, second, third].entries()) {
    await beginTry(db, owner, one)
    await noteMission(db, owner, one, String(missions[index]))
  }
  await saveResult(db, owner, first, result('passed'))
  expect(await saveResult(db, owner, first, result('failed'))).toBeUndefined()
  await saveErrored(db, owner, second, 'the platform was away')
  const samples = await gym.call<{ items: GymSample[]; nextCursor: string }>(
    'GET',
    `/v1/gym/runs/${id}/samples?limit=2`,
  )
  expect(samples.body.items).toMatchObject([
    { state: 'passed', tokens: 7, scores: [{ passed: true }] },
    { state: 'errored', error: 'the platform was away' },
  ])
  const rest = await gym.call<{ items: GymSample[] }>(
    'GET',
    `/v1/gym/runs/${id}/samples?limit=2&cursor=${samples.body.nextCursor}`,
  )
  expect(rest.body.items).toMatchObject([{ id: third, state: 'running', missionId: missions[2] }])

  const canceled = await gym.call<GymRun>('POST', `/v1/gym/runs/${id}:cancel`)
  expect(canceled.body).toMatchObject({
    state: 'canceled',
    samples: { planned: 3, finished: 2, passed: 1, errored: 1 },
  })
  expect((await gym.call<GymRun>('POST', `/v1/gym/runs/${id}:cancel`)).body.state).toBe('canceled')
  expect(await saveResult(db, owner, third, result('passed'))).toBeUndefined()
  // Missions may go on of what was skipped, and of what could not be judged.
  expect(new Set(await openMissions(db, id))).toEqual(new Set([missions[1], missions[2]]))

  const early = await gym.call<Problem>('POST', `/v1/gym/runs/${id}:resume`)
  expect(early).toMatchObject({ status: 409, body: { detail: expect.stringContaining('still being ended') } })
  expect(await markCleaned(db, owner, id)).toBe(true)
  const resumed = await gym.call<GymRun>('POST', `/v1/gym/runs/${id}:resume`)
  expect(resumed.body).toMatchObject({ state: 'queued', samples: { planned: 3, finished: 1, passed: 1, errored: 0 } })
  expect((await readPlan(db, id)).map(({ state, tries, faultsSeen }) => [state, tries, faultsSeen])).toEqual([
    ['passed', 1, 0],
    ['planned', 1, 0],
    ['planned', 1, 0],
  ])
  expect((await gym.call('POST', `/v1/gym/runs/${id}:resume`)).status).toBe(409)
  // The next try has another number, and so another mission.
  await takeRuns(db, owner, 60_000, 1)
  expect(await beginTry(db, owner, second)).toBe(2)
})

test('a verdict is an event and an audit row, and stays', async ({ gym, db, tenant }) => {
  await prepare(gym, db, tenant.id)
  const { id } = (await gym.call<GymRun>('POST', '/v1/gym/runs', RUN)).body
  const owner = newId()
  await takeRuns(db, owner, 60_000, 1)
  for (const sample of await readPlan(db, id)) {
    await beginTry(db, owner, sample.id)
    await saveResult(db, owner, sample.id, result('passed'))
  }
  const run = { id, tenantId: tenant.id }
  const verdict = { state: 'completed', verdict: 'passed', reasons: ['3 of 3'] } as const
  const deps = { db, publish: () => undefined }
  expect(await endRun(deps, run, owner, verdict)).toMatchObject({ verdict: 'passed' })
  expect(await endRun(deps, run, owner, { ...verdict, verdict: 'failed' })).toBeUndefined()
  const read = await gym.call<GymRun>('GET', `/v1/gym/runs/${id}`)
  expect(read.body).toMatchObject({ state: 'completed', verdict: 'passed', reasons: ['3 of 3'] })
  expect(read.body.scenarios).toMatchObject([
    { id: 'small', samples: 1, passRate: 1, tokens: 7, usd: 0.5, p50Ms: 100 },
    { id: 'large', samples: 2, passRate: 1, tokens: 14, usd: 1 },
  ])
  const events = await db
    .selectFrom('agent_events')
    .select(['type', 'body'])
    .where('tenant_id', '=', tenant.id)
    .orderBy('seq')
    .execute()
  expect(events.map(({ type }) => type)).toEqual(['gym.run.started', 'gym.run.completed'])
  expect(events[1]?.body).toMatchObject({ verdict: 'passed', blueprint: 'adder', samples: { passed: 3 } })
  const audited = await db.selectFrom('audit').select(['action', 'actor']).where('ref', '=', id).orderBy('id').execute()
  expect(audited[1]).toEqual({ action: 'gym.run.completed', actor: 'turing-gym' })
  for (const verb of ['cancel', 'resume']) await gym.call('POST', `/v1/gym/runs/${id}:${verb}`)
  expect((await gym.call<GymRun>('GET', `/v1/gym/runs/${id}`)).body).toEqual(read.body)
})

test('while the platform is away a run goes on being tried, and is no verdict', { timeout: 40_000 }, async ({
  startGym,
  db,
  tenant,
}) => {
  const gym = await startGym()
  await prepare(gym, db, tenant.id)
  const { id } = (await gym.call<GymRun>('POST', '/v1/gym/runs', RUN)).body
  gym.startLoops()
  await waitFor(async () => (await gym.call<GymRun>('GET', `/v1/gym/runs/${id}`)).body.error !== undefined, {
    what: 'the trouble to be noted',
    timeoutMs: 30_000,
  })
  const read = await gym.call<GymRun>('GET', `/v1/gym/runs/${id}`)
  expect(read.body).toMatchObject({ state: 'running', samples: { finished: 0 } })
  expect(read.body).not.toHaveProperty('verdict')
})
