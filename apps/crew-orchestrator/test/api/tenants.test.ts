import { ROUTES, newId } from '@hypercode/contracts'
import type { ClaimedTask, Problem, Route } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { Answer, Caller, Stage } from '../harness.ts'

const OURS: readonly Route[] = Object.values<Route>(ROUTES).filter((route) => route.service === 'crew-orchestrator')
const BY_ID = OURS.filter((route) => route.path.includes('{id}'))

/** What has an id, by the first part of its path. */
type Ids = Readonly<Record<'missions' | 'tasks' | 'dead-letters' | 'approvals' | 'schedules' | 'operations', string>>

/** One mission with everything in it that has an id, and a schedule. */
async function furnished(stage: Stage): Promise<Ids> {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(
    crewOf('x', [
      { id: 'a' },
      { id: 'b', retry: { maxAttempts: 1, onExhausted: 'pause' } },
      { id: 'c', approval: { approvers: ['lead'], deadline: '4h' } },
    ]),
  )
  const [task, failing] = (await agent.claim()) as [ClaimedTask, ClaimedTask]
  await agent.call('PUT', `/v1/tasks/${task.taskId}/artifacts/report?incarnation=1&attempt=1`, Buffer.from('secret'), {
    'content-type': 'text/plain',
  })
  await agent.fail(failing)
  await stage.operator.call('POST', '/v1/crews', crewOf('team', [{ id: 'a' }]))
  const { body: schedule } = await stage.operator.call<{ id: string }>('POST', '/v1/schedules', NIGHTLY)
  const { body: operation } = await stage.operator.call<{ id: string }>('POST', '/v1/operations', NOTHING_TO_DO)
  const first = async (path: string): Promise<string> => {
    const { body } = await stage.operator.call<{ items: { id: string }[] }>('GET', path)
    return body.items[0]?.id as string
  }
  return {
    missions: mission.id,
    tasks: task.taskId,
    'dead-letters': await first('/v1/dead-letters'),
    approvals: await first('/v1/approvals'),
    schedules: schedule.id,
    operations: operation.id,
  }
}

/** All of that as its owner sees it: who is told that it is not there has not changed it either. */
const seen = async (stage: Stage, own: Ids): Promise<unknown> => [
  await stage.events(own.missions),
  await stage.tasks(own.missions),
  ...(await Promise.all(
    Object.entries(own).map(async ([kind, id]) => {
      const { status, body } = await stage.operator.call('GET', `/v1/${kind}/${id}`)
      return { status, body }
    }),
  )),
]

const NIGHTLY = { name: 'nightly', crew: 'team', cron: '0 3 * * *' }
const NOTHING_TO_DO = { action: 'cancelMission', filter: { crew: 'nobody' } }
const FENCE = { incarnation: 1, attempt: 1 }
const DECISION = { hash: 'a'.repeat(64) }

/** What a route asks for in its body, so that only the id can be wrong. */
const BODIES: Readonly<Record<string, object>> = {
  recordStep: { ...FENCE, response: 1 },
  reportProgress: { ...FENCE, fraction: 0.5 },
  recordUsage: { ...FENCE, key: 'k', model: 'm', inputTokens: 1, outputTokens: 1, usd: 1 },
  streamOutput: { ...FENCE, text: 'hello' },
  putArtifact: Buffer.from('x'),
  putTaskContext: { ...FENCE, value: 1 },
  putEffect: { ...FENCE, state: 'intent', idempotent: true },
  resolveEffect: { done: false },
  planTasks: { taskId: newId(), ...FENCE, name: 'plan', tasks: [{ id: 'p', member: 'worker' }] },
  putContext: { value: 1 },
  signalMission: { name: 's' },
  forkMission: { from: 'a' },
  approveApproval: DECISION,
  rejectApproval: DECISION,
  editApproval: { ...DECISION, data: 1 },
  updateSchedule: NIGHTLY,
  editDeadLetter: { input: 1 },
}

async function ask(caller: Caller, route: Route, id: string): Promise<Answer<Problem>> {
  const path = route.path.replace('{id}', id).replace('{name}', 'report').replace('{key}', 'k')
  const isArtifact = route === ROUTES.putArtifact
  return await caller.call<Problem>(
    route.method,
    path + (isArtifact ? '?incarnation=1&attempt=1' : ''),
    BODIES[route.operationId],
    { 'x-correlation-id': 'same', ...(isArtifact ? { 'content-type': 'text/plain' } : {}) },
  )
}

describe('what belongs to another tenant', () => {
  test('is, by id, as unknown as what does not exist: the same answer to the letter', async ({
    stage,
    secondTenant,
  }) => {
    const own = await furnished(stage)
    const before = await seen(stage, own)
    const stranger = await stage.as(secondTenant)
    expect(BY_ID.length).toBeGreaterThanOrEqual(15)
    for (const route of BY_ID) {
      const id = own[/^\/v1\/([a-z-]+)/.exec(route.path)?.[1] as keyof Ids]
      const foreign = await ask(stranger, route, id)
      const unknown = await ask(stranger, route, newId())
      // An agent's write to a task finds the fence closed, whosever the task is.
      const isFenced = route.access.includes('task:claim') && route.path.startsWith('/v1/tasks')
      const status = isFenced ? 409 : 404
      expect([route.operationId, foreign.status], JSON.stringify(foreign.body)).toEqual([route.operationId, status])
      expect(foreign.body).toEqual(unknown.body)
      expect(JSON.stringify(foreign.body)).not.toContain('secret')
    }
    expect(await seen(stage, own)).toEqual(before)
  })

  test('is in no list', async ({ stage, secondTenant }) => {
    const own = await furnished(stage)
    const stranger = await stage.as(secondTenant)
    const lists = OURS.filter((route) => route.method === 'GET' && !route.path.includes('{'))
    expect(lists.map((route) => route.path).sort()).toEqual([
      '/v1/approvals',
      '/v1/crews',
      '/v1/dead-letters',
      '/v1/missions',
      '/v1/operations',
      '/v1/queues',
      '/v1/schedules',
    ])
    for (const { path } of lists) {
      expect((await stage.operator.call<{ items: unknown[] }>('GET', path)).body.items).toHaveLength(1)
      expect((await stranger.call('GET', path)).body).toEqual({ items: [] })
    }
    for (const query of [`?missionId=${own.missions}`, `?cursor=ffffffff-ffff-ffff-ffff-ffffffffffff`])
      expect((await stranger.call('GET', `/v1/dead-letters${query}`)).body).toEqual({ items: [] })
  })

  test('is not reached by saying so: who asks is what the token says', async ({ stage, tenant, secondTenant }) => {
    const own = await furnished(stage)
    const stranger = await stage.as(secondTenant)
    const said = { tenantId: tenant.id, createdBy: stage.operator.subject, subject: stage.operator.subject }
    const manifest = crewOf('x', [{ id: 'a' }])
    for (const [name, value] of Object.entries(said)) {
      expect((await stranger.call('POST', '/v1/missions', { manifest, [name]: value })).status, name).toBe(400)
      const decision = { ...DECISION, [name]: value }
      expect((await stranger.call('POST', `/v1/approvals/${own.approvals}:approve`, decision)).status).toBe(400)
    }
    expect((await stranger.call('GET', `/v1/missions?tenantId=${tenant.id}`)).status).toBe(400)
    const headers = { 'x-tenant-id': tenant.id, 'x-user-id': stage.operator.subject }
    expect((await stranger.call('GET', '/v1/missions', undefined, headers)).body).toEqual({ items: [] })
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
