import type { Mission, Operation, OperationPreview, Problem } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { begin, carriedOut, missionsOf, order, read } from '../engine/operating.ts'
import { STILL, stillTest as test } from '../harness.ts'
import type { Caller, Stage } from '../harness.ts'

const CANCEL = { action: 'cancelMission', filter: { all: true } }
const list = async (caller: Caller, query = ''): Promise<{ items: Operation[]; nextCursor?: string }> =>
  (await caller.call<{ items: Operation[]; nextCursor?: string }>('GET', `/v1/operations${query}`)).body

describe('begun', () => {
  test('is answered with a handle at once, and nothing has happened yet', async ({ stage }) => {
    const [id] = (await missionsOf(stage, ['one'])) as [string]
    const answer = await order(stage.operator, { ...CANCEL, reason: 'enough' })
    expect(answer.status).toBe(202)
    expect(answer.headers['location']).toBe(`/v1/operations/${answer.body.id}`)
    expect(answer.body).toMatchObject({ ...CANCEL, reason: 'enough', state: 'running', matched: 1, done: 0 })
    expect(answer.body.correlationId).toBe(answer.headers['x-correlation-id'])
    expect((await stage.mission(id)).state).toBe('submitted')
    expect(await read(stage, answer.body.id)).toEqual(answer.body)
  })

  test('takes only what is there: a mission that comes later is not meant', async ({ stage }) => {
    const [before] = (await missionsOf(stage, ['one'])) as [string]
    const operation = await begin(stage, 'cancelMission', { all: true })
    const [later] = (await missionsOf(stage, ['one'])) as [string]
    expect(await carriedOut(stage, operation)).toMatchObject({ matched: 1, done: 1 })
    expect((await stage.mission(before)).state).toBe('canceled')
    expect((await stage.mission(later)).state).toBe('submitted')
  })

  test('without anything to do has ended', async ({ stage }) => {
    const { body } = await order(stage.operator, CANCEL)
    expect(body).toMatchObject({ state: 'completed', matched: 0, done: 0 })
    expect(body.endedAt).toBeDefined()
  })

  test('again with the same key is the same operation; with another request it is refused', async ({ stage }) => {
    await missionsOf(stage, ['one'])
    const first = await order(stage.operator, CANCEL, 'k')
    const again = await order(stage.operator, CANCEL, 'k')
    expect(again).toMatchObject({ status: 202, body: { id: first.body.id } })
    expect([first, again].map(({ headers }) => headers['idempotency-replayed'])).toEqual([undefined, 'true'])
    const other = await order<Problem>(stage.operator, { ...CANCEL, reason: 'another' }, 'k')
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } })
    const both = await Promise.all([order(stage.operator, CANCEL, 'l'), order(stage.operator, CANCEL, 'l')])
    expect(new Set(both.map(({ body }) => body.id)).size).toBe(1)
    expect((await list(stage.operator)).items).toHaveLength(2)
  })

  test('as a dry run answers the number, and changes nothing', async ({ stage }) => {
    const [id] = (await missionsOf(stage, ['one'])) as [string]
    const answer = await order<OperationPreview>(stage.operator, { ...CANCEL, dryRun: true }, 'k')
    expect(answer).toMatchObject({ status: 200, body: { matched: 1 } })
    await stage.orchestrator.operations.turn()
    expect((await stage.mission(id)).state).toBe('submitted')
    expect((await list(stage.operator)).items).toEqual([])
  })

  test('is listed, newest first, by pages and by state', async ({ stage }) => {
    await missionsOf(stage, ['one'])
    const running = await begin(stage, 'cancelMission', { crew: 'one' })
    const ended = await begin(stage, 'cancelMission', { crew: 'two' })
    const first = await list(stage.operator, '?limit=1')
    expect(first.items.map(({ id }) => id)).toEqual([ended.id])
    const second = await list(stage.operator, `?limit=1&cursor=${first.nextCursor}`)
    expect(second).toEqual({ items: [running] })
    expect((await list(stage.operator, '?state=running')).items).toEqual([running])
    expect((await stage.operator.call('GET', '/v1/operations?cursor=x')).status).toBe(400)
  })
})

describe('refused', () => {
  const faultsOf = async (stage: Stage, body: object): Promise<[number, (string | undefined)[]]> => {
    const answer = await order<Problem>(stage.operator, body)
    return [answer.status, (answer.body.faults ?? []).map(({ pointer }) => pointer)]
  }

  test.for([
    [{ action: 'cancelMission', filter: {} }, 422, ['/filter']],
    [{ action: 'cancelMission', filter: { all: true, crew: 'one' } }, 422, ['/filter/all']],
    [{ action: 'cancelMission', filter: { queue: 'work', key: 'a' } }, 422, ['/filter/queue', '/filter/key']],
    [{ action: 'pauseMission', filter: { state: 'blocked' } }, 422, ['/filter/state']],
    [{ action: 'cancelTask', filter: { state: 'submitted' } }, 422, ['/filter/state']],
    [{ action: 'replayDeadLetter', filter: { state: 'paused' } }, 422, ['/filter/state']],
    [{ action: 'cancelMission', filter: { all: false } }, 400, ['/filter/all']],
    [{ action: 'cancelMission', filter: { labels: {} } }, 400, ['/filter/labels']],
    [{ action: 'cancelMission', filter: { crow: 'one' } }, 400, ['/filter/crow']],
    [{ action: 'cancelMission', filter: { createdBefore: 'yesterday' } }, 400, ['/filter/createdBefore']],
    [{ action: 'deleteCrew', filter: { all: true } }, 400, ['/action']],
    [{ action: 'cancelMission' }, 400, ['/filter']],
  ] as const)('%j', async ([body, status, pointers], { stage }) => {
    expect(await faultsOf(stage, body)).toEqual([status, pointers])
    expect(await faultsOf(stage, { ...body, dryRun: true })).toEqual([status, pointers])
  })

  test.override({ settings: { ...STILL, OPERATIONS_OPEN_MAX: '2', OPERATION_TARGETS_MAX: '3' } })

  test('when more targets fit than one operation may have', async ({ stage }) => {
    await missionsOf(stage, ['one', 'one', 'one', 'two'])
    expect(await faultsOf(stage, CANCEL)).toEqual([422, ['/filter']])
    expect((await order<OperationPreview>(stage.operator, { ...CANCEL, dryRun: true })).body).toEqual({ matched: 4 })
    expect((await begin(stage, 'cancelMission', { crew: 'one' })).matched).toBe(3)
  })

  test('when as many run as a tenant may have, however many come at once', async ({ stage, secondTenant }) => {
    await missionsOf(stage, ['one'])
    const answers = await Promise.all(Array.from({ length: 5 }, () => order<Problem>(stage.operator, CANCEL)))
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([202, 202, 429, 429, 429])
    const late = answers.find(({ status }) => status === 429)
    expect(late).toMatchObject({ body: { code: 'rate_limited' }, headers: { 'retry-after': '5' } })
    expect((await order(await stage.as(secondTenant), CANCEL)).status).toBe(202)
    await stage.orchestrator.operations.turn()
    expect((await order(stage.operator, CANCEL)).status).toBe(202)
  })
})

describe('allowed', () => {
  test.for([
    ['cancelMission', 'mission:cancel'],
    ['retryMission', 'mission:write'],
    ['cancelTask', 'mission:cancel'],
    ['skipTask', 'mission:write'],
    ['discardDeadLetter', 'deadletter:write'],
  ] as const)('%s by %s, as for one', async ([action, scope], { stage, tenant }) => {
    const reader = await stage.as(tenant, ['mission:read'])
    for (const dryRun of [true, false]) {
      const refused = await order<Problem>(reader, { action, filter: { all: true }, dryRun })
      expect(refused).toMatchObject({ status: 403, body: { code: 'insufficient_scope' } })
      expect(refused.body.detail).toContain(scope)
    }
    const allowed = await stage.as(tenant, ['mission:read', scope])
    expect((await order(allowed, { action, filter: { all: true } })).status).toBe(202)
  })

  test('an abort only with the scope of what is aborted', async ({ stage, tenant }) => {
    await missionsOf(stage, ['one'])
    const { id } = await begin(stage, 'cancelMission', { all: true })
    const path = `/v1/operations/${id}:abort`
    expect((await (await stage.as(tenant, ['mission:read', 'mission:write'])).call('POST', path)).status).toBe(403)
    expect((await (await stage.as(tenant, ['mission:read', 'mission:cancel'])).call('POST', path)).status).toBe(200)
  })
})

test('what another tenant has is no target, and its operations are not there', async ({ stage, secondTenant }) => {
  const [own] = (await missionsOf(stage, ['one'])) as [string]
  const stranger = await stage.as(secondTenant)
  const { body } = await order(stranger, CANCEL)
  expect(body.matched).toBe(0)
  const mine = await begin(stage, 'pauseMission', { all: true })
  for (const [method, path] of [
    ['GET', ''],
    ['POST', ':abort'],
  ] as const)
    expect((await stranger.call(method, `/v1/operations/${mine.id}${path}`)).status).toBe(404)
  expect((await list(stranger)).items.map(({ id }) => id)).toEqual([body.id])
  expect((await stage.operator.call<Mission>('GET', `/v1/missions/${own}`)).body.state).toBe('submitted')
})
