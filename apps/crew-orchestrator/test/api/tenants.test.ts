import { ROUTES, newId } from '@hypercode/contracts'
import type { ClaimedTask, DeadLetter, Problem, Route } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { STILL, crewOf, test } from '../harness.ts'
import type { Answer, Caller, Stage } from '../harness.ts'

test.override({ settings: STILL })

const OURS: readonly Route[] = Object.values<Route>(ROUTES).filter((route) => route.service === 'crew-orchestrator')
const BY_ID = OURS.filter((route) => route.path.includes('{id}'))

/** One mission with everything in it that has an id. */
async function furnished(stage: Stage): Promise<{ mission: string; task: string; letter: string }> {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(
    crewOf('x', [{ id: 'a' }, { id: 'b', retry: { maxAttempts: 1, onExhausted: 'pause' } }]),
  )
  const [task, failing] = (await agent.claim()) as [ClaimedTask, ClaimedTask]
  await agent.call('PUT', `/v1/tasks/${task.taskId}/artifacts/report?incarnation=1&attempt=1`, Buffer.from('secret'), {
    'content-type': 'text/plain',
  })
  await agent.fail(failing)
  const { body } = await stage.operator.call<{ items: DeadLetter[] }>('GET', '/v1/dead-letters')
  return { mission: mission.id, task: task.taskId, letter: body.items[0]?.id as string }
}

/** Calls a route with what its schema asks for, so that only the id can be wrong. */
async function ask(caller: Caller, route: Route, id: string): Promise<Answer<Problem>> {
  const path = route.path.replace('{id}', id).replace('{name}', 'report')
  const fence = { incarnation: 1, attempt: 1 }
  const query = route === ROUTES.putArtifact ? '?incarnation=1&attempt=1' : ''
  const body =
    route === ROUTES.recordStep
      ? { ...fence, response: 1 }
      : route === ROUTES.reportProgress
        ? { ...fence, fraction: 0.5 }
        : route === ROUTES.recordUsage
          ? { ...fence, key: 'k', model: 'm', inputTokens: 1, outputTokens: 1, usd: 1 }
          : route === ROUTES.streamOutput
            ? { ...fence, text: 'hello' }
            : route === ROUTES.putArtifact
              ? Buffer.from('x')
              : undefined
  return await caller.call<Problem>(route.method, path + query, body, {
    'x-correlation-id': 'same',
    ...(route === ROUTES.putArtifact ? { 'content-type': 'text/plain' } : {}),
  })
}

describe('what belongs to another tenant', () => {
  test('is, by id, as unknown as what does not exist: the same answer to the letter', async ({
    stage,
    secondTenant,
  }) => {
    const own = await furnished(stage)
    const stranger = await stage.as(secondTenant)
    expect(BY_ID.length).toBeGreaterThanOrEqual(15)
    for (const route of BY_ID) {
      const id = route.path.startsWith('/v1/missions')
        ? own.mission
        : route.path.startsWith('/v1/tasks')
          ? own.task
          : own.letter
      const foreign = await ask(stranger, route, id)
      const unknown = await ask(stranger, route, newId())
      // An agent's write finds the fence closed, whosever the task is.
      const status = route.access.includes('task:claim') ? 409 : 404
      expect([route.operationId, foreign.status], JSON.stringify(foreign.body)).toEqual([route.operationId, status])
      expect(foreign.body).toEqual(unknown.body)
      expect(JSON.stringify(foreign.body)).not.toContain('secret')
    }
    expect((await stage.mission(own.mission)).state).toBe('running')
  })

  test('is in no list', async ({ stage, secondTenant }) => {
    const own = await furnished(stage)
    await stage.operator.call('POST', '/v1/crews', crewOf('team', [{ id: 'a' }]))
    const stranger = await stage.as(secondTenant)
    const lists = OURS.filter((route) => route.method === 'GET' && !route.path.includes('{'))
    expect(lists.map((route) => route.path).sort()).toEqual(['/v1/crews', '/v1/dead-letters', '/v1/missions'])
    for (const { path } of lists) {
      expect((await stage.operator.call<{ items: unknown[] }>('GET', path)).body.items).toHaveLength(1)
      expect((await stranger.call('GET', path)).body).toEqual({ items: [] })
    }
    for (const query of [`?missionId=${own.mission}`, `?cursor=ffffffff-ffff-ffff-ffff-ffffffffffff`])
      expect((await stranger.call('GET', `/v1/dead-letters${query}`)).body).toEqual({ items: [] })
  })

  test('cannot be named: a crew of the same name is another one', async ({ stage, secondTenant }) => {
    await stage.operator.call('POST', '/v1/crews', crewOf('team', [{ id: 'a' }]))
    const stranger = await stage.as(secondTenant)
    for (const crew of ['team', 'team@1'])
      expect((await stranger.call('POST', '/v1/missions', { crew })).status).toBe(404)
  })
})

test('every route needs a token, and the scopes that the catalogue names', async ({ stage, tenant }) => {
  const nobody = await stage.as(tenant, [])
  for (const route of OURS) {
    const path = route.path.replace('{id}', newId()).replace('{name}', 'x').replace('{version}', '1')
    const anonymous = await stage.orchestrator.app.inject({ method: route.method, url: path })
    expect([route.operationId, anonymous.statusCode]).toEqual([route.operationId, 401])
    const { status, body } = await nobody.call<Problem>(route.method, path)
    expect([route.operationId, status, body.code]).toEqual([route.operationId, 403, 'insufficient_scope'])
    for (const scope of route.access) expect(JSON.stringify(body)).toContain(scope)
  }
})

test('every route of the catalogue is there', async ({ stage }) => {
  const implemented = stage.orchestrator.app.implemented.map((route) => route.operationId).sort()
  expect(implemented).toEqual(OURS.map((route) => route.operationId).sort())
})
