import { newId } from '@hypercode/contracts'
import type { GymRun, GymSample, Problem } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
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
import type { SampleResult } from '../src/store/samples.ts'
import { blueprintOf, storeBlueprint, suiteOf, test } from './gym.ts'
import type { Gym } from './gym.ts'

const RUN = { suite: 'arithmetic', blueprint: 'adder', blueprintVersion: 'candidate' }

async function prepare(gym: Gym, db: Db, tenantId: string): Promise<{ hash: string }> {
  await gym.call('POST', '/v1/gym/suites', suiteOf())
  return await storeBlueprint(db, tenantId, blueprintOf())
}

const result = (state: 'passed' | 'failed', more: Partial<SampleResult> = {}): SampleResult => ({
  state,
  taskId: newId(),
  outcome: 'completed',
  output: { sum: 3 },
  scores: [{ scorer: 'equals-1', kind: 'equals', score: state === 'passed' ? 1 : 0, passed: state === 'passed' }],
  score: state === 'passed' ? 1 : 0,
  latencyMs: 100,
  tokens: 7,
  usd: 0.5,
  faults: [],
  ...more,
})

test('a run is fixed to the content that it is about, and planned when it is asked for', async ({
  gym,
  db,
  tenant,
}) => {
  const { hash } = await prepare(gym, db, tenant.id)
  const started = await gym.call<GymRun>('POST', '/v1/gym/runs', RUN)
  expect(started).toMatchObject({
    status: 202,
    body: {
      suite: 'arithmetic',
      suiteVersion: 1,
      blueprint: 'adder',
      blueprintVersion: 1,
      blueprintHash: hash,
      state: 'queued',
      rule: { kind: 'thresholds', passRate: 1 },
      samples: { planned: 3, finished: 0, passed: 0, failed: 0, errored: 0 },
    },
  })
  const { id } = started.body
  expect(started.headers['location']).toBe(`/v1/gym/runs/${id}`)
  // Neither a new version of the suite nor one of the blueprint changes what the run is about.
  await gym.call('POST', '/v1/gym/suites', suiteOf('arithmetic', { repetitions: 5 }))
  await storeBlueprint(db, tenant.id, blueprintOf('adder', { slots: 9 }), 2)
  expect((await gym.call<GymRun>('GET', `/v1/gym/runs/${id}`)).body).toEqual(started.body)
  const events = await db.selectFrom('agent_events').selectAll().where('tenant_id', '=', tenant.id).execute()
  expect(events).toMatchObject([{ seq: 1, type: 'gym.run.started', ref: `gym/runs/${id}`, agent_id: null }])
  const audit = await db.selectFrom('audit').select('action').where('ref', '=', id).execute()
  expect(audit).toEqual([{ action: 'gym.run.started' }])
})

test('what cannot be run is refused with its reason', async ({ gym, db, tenant, secondTenant }) => {
  await prepare(gym, db, tenant.id)
  const refused = async (body: object, tenantId = tenant.id) =>
    await gym.call<Problem>('POST', '/v1/gym/runs', body, { tenantId })
  expect(await refused({ ...RUN, suite: 'other' })).toMatchObject({
    status: 404,
    body: { detail: expect.stringContaining('other') },
  })
  expect((await refused({ ...RUN, suiteVersion: 2 })).status).toBe(404)
  expect((await refused({ ...RUN, blueprintVersion: 'stable' })).status).toBe(404)
  expect((await refused(RUN, secondTenant.id)).status).toBe(404)
  expect(await refused({ ...RUN, repetitions: 51 })).toMatchObject({ status: 422, body: { code: 'unprocessable' } })
  expect((await refused({ ...RUN, repetitions: 0 })).status).toBe(400)
  await storeBlueprint(db, tenant.id, blueprintOf('other', { skills: ['code.edit'] }))
  const skills = await refused({ ...RUN, blueprint: 'other' })
  expect(skills).toMatchObject({ status: 422, body: { faults: [{ pointer: '/blueprint' }] } })
  expect((await gym.call<{ items: GymRun[] }>('GET', '/v1/gym/runs')).body.items).toEqual([])
})

test('an idempotency key names one run, also when requests with it come at once', async ({ gym, db, tenant }) => {
  await prepare(gym, db, tenant.id)
  const headers = { 'idempotency-key': 'once' }
  const answers = await Promise.all(
    [1, 2, 3, 4].map(async () => await gym.call<GymRun>('POST', '/v1/gym/runs', RUN, { headers })),
  )
  expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1)
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 200, 202])
  const other = await gym.call('POST', '/v1/gym/runs', { ...RUN, parallel: 2 }, { headers })
  expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } })
  const samples = await db.selectFrom('gym_samples').select('id').where('tenant_id', '=', tenant.id).execute()
  expect(samples).toHaveLength(3)
})

test('runs are listed newest first, by page and by what they are about', async ({ gym, db, tenant, secondTenant }) => {
  await prepare(gym, db, tenant.id)
  const ids: string[] = []
  for (let n = 0; n < 3; n += 1) ids.unshift((await gym.call<GymRun>('POST', '/v1/gym/runs', RUN)).body.id)
  const list = async (query: string, tenantId = tenant.id) =>
    (await gym.call<{ items: GymRun[]; nextCursor?: string }>('GET', `/v1/gym/runs${query}`, undefined, { tenantId }))
      .body
  const page = await list('?limit=2')
  expect(page.items.map(({ id }) => id)).toEqual(ids.slice(0, 2))
  expect((await list(`?limit=2&cursor=${page.nextCursor}`)).items.map(({ id }) => id)).toEqual(ids.slice(2))
  await gym.call('POST', `/v1/gym/runs/${ids[1]}:cancel`)
  expect((await list('?state=canceled')).items.map(({ id }) => id)).toEqual([ids[1]])
  expect((await list('?suite=other')).items).toEqual([])
  expect((await list('', secondTenant.id)).items).toEqual([])
  expect((await gym.call('GET', '/v1/gym/runs?cursor=nonsense')).status).toBe(400)
})

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

test('reports and comparisons come from the samples, and only of the own tenant', async ({
  gym,
  db,
  tenant,
  secondTenant,
}) => {
  await prepare(gym, db, tenant.id)
  const runs: string[] = []
  for (const state of ['failed', 'passed'] as const) {
    const { id } = (await gym.call<GymRun>('POST', '/v1/gym/runs', RUN)).body
    const owner = newId()
    await takeRuns(db, owner, 60_000, 1)
    for (const sample of await readPlan(db, id)) {
      await beginTry(db, owner, sample.id)
      await saveResult(db, owner, sample.id, result(state, { output: { text: '<script>alert(1)</script>' } }))
    }
    await endRun({ db, publish: () => undefined }, { id, tenantId: tenant.id }, owner, {
      state: 'completed',
      verdict: state,
      reasons: [],
    })
    runs.push(id)
  }
  const [before, after] = runs as [string, string]
  const json = await gym.call<{ samples: GymSample[] }>('GET', `/v1/gym/runs/${after}/report?with=${before}`)
  expect(json.body).toMatchObject({ run: { id: after, verdict: 'passed' }, comparison: { baselineId: before } })
  expect(json.body.samples).toHaveLength(3)
  const html = await gym.call<string>('GET', `/v1/gym/runs/${after}/report?format=html`)
  expect(html.headers).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': expect.any(String),
  })
  expect(html.body).not.toContain('<script>alert')
  const junit = await gym.call<string>('GET', `/v1/gym/runs/${before}/report?format=junit`)
  expect(junit.body).toContain('<failure')
  const compared = await gym.call('GET', `/v1/gym/runs/${after}/comparison?with=${before}`)
  expect(compared.body).toMatchObject({
    runId: after,
    baselineId: before,
    scenarios: [{ id: 'small', before: 0, after: 1 }, { id: 'large' }],
  })
  const foreign = { tenantId: secondTenant.id }
  for (const url of [`${after}`, `${after}/samples`, `${after}/report`, `${after}/comparison?with=${before}`]) {
    expect((await gym.call('GET', `/v1/gym/runs/${url}`, undefined, foreign)).status, url).toBe(404)
  }
  expect((await gym.call('POST', `/v1/gym/runs/${after}:cancel`, undefined, foreign)).status).toBe(404)
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
