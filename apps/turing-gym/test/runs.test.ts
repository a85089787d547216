import { newId } from '@hypercode/contracts'
import type { GymRun, GymSample, Problem } from '@hypercode/contracts'
import { expect } from 'vitest'
import { endRun } from '../src/store/run-moves.ts'
import { takeRuns } from '../src/store/run-leases.ts'
import { beginTry, readPlan, saveResult } from '../src/store/samples.ts'
import { blueprintOf, storeBlueprint, suiteOf, test } from './gym.ts'
import { RUN, prepare, result } from './running.ts'

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
