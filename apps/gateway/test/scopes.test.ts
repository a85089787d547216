import { ROUTES, SCOPES, routerPath } from '@hypercode/contracts'
import type { Route, Scope } from '@hypercode/contracts'
import type { ServiceApp } from '@hypercode/http'
import { freePort, signTestToken } from '@hypercode/testkit'
import { expect } from 'vitest'
import { call, test } from './support/gateway.ts'

const ID = '01890000-0000-7000-8000-000000000001'
const SAMPLES: Readonly<Record<string, string>> = {
  id: ID,
  instanceId: ID,
  name: 'x',
  queue: 'x',
  key: 'x',
  version: '1',
}

/** The routes as the router knows them, each with an address that leads to it. */
function guarded(app: ServiceApp): { method: string; path: string; scopes: readonly Scope[] }[] {
  return app.routeTable.flatMap(({ method, url, access }) => {
    if (access === 'public') return []
    const path = url
      .replaceAll(/:(\w+)(\([^)]*\))?/g, (whole, name: string) => SAMPLES[name] ?? whole)
      .replaceAll('::', ':')
    return [{ method, path, scopes: access as readonly Scope[] }]
  })
}

// Goal: no route of the gateway can be called without its scopes (S1).
// Method: the routes come from the router itself, so a new one cannot be forgotten. Behind the gateway nothing listens: whoever is let
// through gets 503 for a proxied route, never an answer.
test('every route refuses a caller without a token, and one that lacks a scope, by name', async ({
  startGateway,
  tenant,
}) => {
  const nowhere = `http://127.0.0.1:${await freePort()}`
  const { app, url } = await startGateway({ REGISTRY_URL: nowhere, ORCHESTRATOR_URL: nowhere })
  const tokenWith = (scopes: readonly Scope[]) => signTestToken({ tenantId: tenant.id, scopes })
  const routes = guarded(app)

  for (const { method, path, scopes } of routes) {
    const what = `${method} ${path}`
    const bare = await call(url + path, { method })
    expect(bare.status, what).toBe(401)
    if (method !== 'HEAD') expect(bare.body, what).toMatchObject({ code: 'token_missing' })

    for (const scope of scopes) {
      const lacking = await call(url + path, { method, token: tokenWith(SCOPES.filter((other) => other !== scope)) })
      expect(lacking.status, what).toBe(403)
      expect(lacking.headers.get('www-authenticate'), what).toContain(scope)
      if (method !== 'HEAD') {
        expect(lacking.body, what).toMatchObject({ code: 'insufficient_scope' })
        expect(String(lacking.body['detail']), what).toContain(scope)
      }
    }
    const stream = path.endsWith('/watch') || path.endsWith('/events')
    if (stream) continue // it would go on; the event tests see it
    const allowed = await call(url + path, { method, token: tokenWith(scopes) })
    expect([401, 403], what).not.toContain(allowed.status)
  }
})

test('every operation of the catalogue is served, and what needs no token is this and no more', async ({
  startGateway,
}) => {
  const { app } = await startGateway()
  const served = new Map(app.routeTable.map(({ method, url, access }) => [`${method} ${url}`, access]))

  for (const route of Object.values<Route>(ROUTES)) {
    expect(served.get(`${route.method} ${routerPath(route.path)}`), route.operationId).toEqual(route.access)
  }
  const open = app.routeTable.filter(({ access, method }) => access === 'public' && method !== 'HEAD')
  expect(open.map(({ method, url }) => `${method} ${url}`).sort()).toEqual([
    'GET /.well-known/jwks.json',
    'GET /docs',
    'GET /docs/*',
    'GET /livez',
    'GET /openapi.json',
    'GET /readyz',
    'POST /v1/auth/revoke',
    'POST /v1/auth/token',
  ])
})
