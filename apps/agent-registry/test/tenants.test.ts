import { ROUTES, fillPath, newId } from '@hypercode/contracts'
import type { Route } from '@hypercode/contracts'
import { expect } from 'vitest'
import { card, eventsOf, test } from './registry.ts'

const OWN_ROUTES = Object.values<Route>(ROUTES).filter((route) => route.service === 'agent-registry')
const BODIES: Readonly<Record<string, object>> = {
  updateAgent: { labels: {} },
  heartbeatAgent: { incarnation: 1, seq: 1 },
  drainAgent: {},
}

test('the registry implements every route that the catalogue gives it', async ({ registry }) => {
  expect(OWN_ROUTES.length).toBe(11)
  expect(registry.app.implemented.map((route) => route.operationId).sort()).toEqual(
    OWN_ROUTES.map((route) => route.operationId).sort(),
  )
})

// Goal: an id of another tenant is answered exactly as one that never was, on every route that takes an id.
test('the agent of another tenant is as one that never was, on every route', async ({ registry, db, secondTenant }) => {
  const owner = registry.caller({ tenantId: secondTenant.id })
  const { body: foreign } = await owner.register()
  const callers = [registry.caller(), registry.caller()]
  await callers[1]?.register(card('native'))
  const routes = OWN_ROUTES.filter((route) => route.path.includes('{id}'))
  expect(routes.length).toBe(7)
  for (const caller of callers) {
    for (const { method, path, operationId } of routes) {
      const [there, nowhere] = await Promise.all(
        [foreign, { id: newId(), instanceId: newId() }].map(async (ids) => {
          const url = fillPath(path, { id: ids.id, instanceId: ids.instanceId })
          const { status, body } = await caller.call(method as 'GET', url, BODIES[operationId])
          return { status, ...body, correlationId: undefined }
        }),
      )
      expect(there, operationId).toEqual(nowhere)
      expect(there?.status, operationId).toBe(404)
    }
  }
  expect((await eventsOf(db, secondTenant.id)).length).toBe(1)
  expect(await owner.read(foreign.id)).toMatchObject({ etag: '"1"', instances: [{ lifecycle: 'ready' }] })
})

test('lists and searches show the own tenant alone', async ({ registry, secondTenant }) => {
  await registry.caller({ tenantId: secondTenant.id }).register(card('theirs', { labels: { a: 'b' } }))
  await registry.caller().register(card('ours', { labels: { a: 'b' } }))
  const reader = registry.caller()
  for (const query of ['', '?skill=code.edit', '?label=a=b', '?health=unknown', '?q=rs', '?q=the', '?limit=1']) {
    const { body } = await reader.call<{ items: { name: string }[]; nextCursor?: string }>('GET', `/v1/agents${query}`)
    expect(
      body.items.map((agent) => agent.name),
      query,
    ).toEqual(query === '?q=the' ? [] : ['ours'])
    expect(body.nextCursor).toBeUndefined()
  }
})

test('every route wants a token and its scope', async ({ registry }) => {
  const none = registry.caller({ scopes: ['mission:read'] })
  for (const { method, path, operationId } of OWN_ROUTES) {
    const url = fillPath(path, { id: newId(), instanceId: newId() })
    const anonymous = await registry.app.inject({ method, url })
    expect([operationId, anonymous.statusCode, anonymous.json().code]).toEqual([operationId, 401, 'token_missing'])
    expect((await none.call(method as 'GET', url)).body, operationId).toMatchObject({ code: 'insufficient_scope' })
  }
})
