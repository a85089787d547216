import { randomUUID } from 'node:crypto'
import { ROUTES, fillPath, newId } from '@hypercode/contracts'
import type { Problem, Route, Scope } from '@hypercode/contracts'
import { signToken } from '@hypercode/testkit/tools'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JWT_SECRET, startScenario } from './scenario.ts'
import type { Scenario } from './scenario.ts'

let scenario: Scenario
beforeAll(async () => {
  scenario = await startScenario()
})
afterAll(async () => scenario.stop())

const tenantId = newId()
const guarded = Object.values<Route>(ROUTES).filter((route) => route.access !== 'public')

/** The service itself, and the gateway in front of it: "inside the cluster" is no permission. */
const doorsOf = (route: Route): string[] => {
  const behind = {
    gateway: [],
    'agent-registry': [scenario.registry.url],
    'crew-orchestrator': scenario.orchestrators.map((one) => one.url),
    'agent-factory': scenario.factories.map((one) => one.url),
    'turing-gym': scenario.gyms.map((one) => one.url),
  }
  return [scenario.url, ...behind[route.service]]
}

async function call(base: string, route: Route, token?: string): Promise<{ status: number; problem: Problem }> {
  const path = fillPath(route.path, {
    id: newId(),
    instanceId: newId(),
    name: 'name',
    version: '1',
    key: 'key',
    queue: 'work',
  })
  const response = await fetch(new URL(path, base), {
    method: route.method,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    ...(route.body === undefined
      ? {}
      : {
          body: '{}',
          headers: {
            'content-type': 'application/json',
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          },
        }),
  })
  expect(response.headers.get('content-type')).toContain('application/problem+json')
  return { status: response.status, problem: (await response.json()) as Problem }
}

const tokenWith = (scopes: readonly Scope[], claims: Record<string, unknown> = {}) =>
  signToken(JWT_SECRET, {
    subject: randomUUID(),
    tenantId,
    scopes,
    issuer: 'https://hypercode.local',
    audience: 'hypercode',
    claims,
  })

describe.each(guarded.map((route) => [route.operationId, route] as const))('%s', (_, route) => {
  test('is closed to a caller without a token, and to one without the scope, at every door', async () => {
    for (const door of doorsOf(route)) {
      expect(await call(door, route)).toMatchObject({ status: 401, problem: { code: 'token_missing', status: 401 } })
      expect(await call(door, route, 'not-a-token')).toMatchObject({ status: 401, problem: { code: 'token_invalid' } })
      expect(await call(door, route, tokenWith(route.access as Scope[], { aud: 'another' }))).toMatchObject({
        status: 401,
      })
      for (const scope of route.access as readonly Scope[]) {
        const others = (
          ['agent:read', 'agent:write', 'mission:read', 'mission:write', 'task:claim', 'token:issue'] as const
        ).filter((one) => one !== scope)
        const refused = await call(door, route, tokenWith(others))
        expect(refused).toMatchObject({ status: 403, problem: { code: 'insufficient_scope' } })
        expect(JSON.stringify(refused.problem)).toContain(scope)
      }
    }
  })
})

test('every path of every service that is open is on this list', async () => {
  const open = Object.values<Route>(ROUTES)
    .filter((route) => route.access === 'public')
    .map((route) => `${route.method} ${route.path}`)
  expect(open.toSorted()).toEqual(['GET /.well-known/jwks.json', 'POST /v1/auth/revoke', 'POST /v1/auth/token'])
  for (const base of [scenario.url, scenario.registry.url, ...scenario.orchestrators.map((one) => one.url)]) {
    expect((await fetch(`${base}/metrics`)).status).toBe(401)
    for (const path of ['/livez', '/readyz', '/openapi.json']) expect((await fetch(base + path)).status).toBe(200)
  }
})
