import { ROUTES, defineRoute } from '@hypercode/contracts'
import type { Scope } from '@hypercode/contracts'
import { implement, requireScopes } from '@hypercode/http'
import { describe, expect, test } from 'vitest'
import { CLIENT, TENANT, bearer, buildService, problemOf, serve, tokenFor } from './service.ts'

// Goal: no route is open by accident. Method: register routes with a faulty policy and expect the boot to stop.
describe('the boot stops', () => {
  test('for a route without a policy', async () => {
    await expect(buildService((app) => void app.get('/open', () => ({})))).rejects.toThrow(
      'GET /open declares no scopes',
    )
  })

  test('for a route without a policy inside a plugin', async () => {
    const { app } = await buildService((app) => {
      app.register(async (scope) => {
        scope.post('/inner', { config: {} }, () => ({}))
      })
    })
    await expect(app.ready()).rejects.toThrow('POST /inner declares no scopes')
  })

  test('for an empty list of scopes', async () => {
    await expect(buildService((app) => void app.get('/open', { config: { scopes: [] } }, () => ({})))).rejects.toThrow(
      'empty',
    )
  })

  test('for scopes on a public route', async () => {
    const config = { scopes: ['agent:read'], public: true } as const
    await expect(buildService((app) => void app.get('/both', { config }, () => ({})))).rejects.toThrow('is public')
  })

  test('for scopes in a service without keys', async () => {
    const config = { scopes: ['agent:read'] } as const
    const booting = buildService((app) => void app.get('/guarded', { config }, () => ({})), { auth: undefined })
    await expect(booting).rejects.toThrow('no auth')
  })
})

// Goal: every route of the catalogue that needs a token refuses to answer without one, and its handler never runs.
test('every route of the catalogue is closed', async () => {
  let entered = 0
  const routes = Object.values(ROUTES)
  const { url } = await serve((app) => {
    for (const route of routes) {
      implement(app, defineRoute(route), async (_request, reply) => {
        entered++
        return reply.send()
      })
    }
  })
  for (const route of routes) {
    if (route.access === 'public') continue
    const address = url + route.path.replaceAll(/\{\w+\}/g, '01a2028a-1f54-73d7-833d-909f9c7f4a5e')
    const without = await fetch(address, { method: route.method })
    expect([route.operationId, without.status]).toEqual([route.operationId, 401])
    expect((await problemOf(without)).code).toBe('token_missing')

    const other = route.access.includes('audit:read' as never) ? 'agent:read' : 'audit:read'
    const lacking = await fetch(address, { method: route.method, headers: await bearer(other) })
    expect([route.operationId, lacking.status]).toEqual([route.operationId, 403])
    expect((await problemOf(lacking)).detail).toContain(route.access[0])
  }
  expect(entered).toBe(0)
})

describe('an answer to a caller without the right', () => {
  const guarded = () =>
    serve((app) => {
      app.post('/guarded', { config: { scopes: ['agent:write', 'task:claim'] } }, (request) => request.body as object)
    })

  test('401 says what is missing', async () => {
    const { url } = await guarded()
    const response = await fetch(`${url}/guarded`, { method: 'POST' })
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(await problemOf(response)).toEqual({
      type: 'https://hypercode.dev/problems/token_missing',
      title: 'The request carries no access token',
      status: 401,
      code: 'token_missing',
      fix: expect.stringContaining('Bearer'),
      correlationId: response.headers.get('x-correlation-id'),
    })
  })

  test('403 names the scope that is missing', async () => {
    const { url } = await guarded()
    const response = await fetch(`${url}/guarded`, { method: 'POST', headers: await bearer('agent:write') })
    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toBe(
      'Bearer error="insufficient_scope", scope="agent:write task:claim"',
    )
    expect(await problemOf(response)).toMatchObject({
      code: 'insufficient_scope',
      detail: 'The token lacks task:claim.',
    })
  })

  test('403 names a scope that the body asks for, in the same words', async () => {
    const { url } = await serve((app) => {
      app.post('/guarded', { config: { scopes: ['agent:read'] } }, (request) => {
        requireScopes(request.principal, ['agent:read', 'task:claim'])
        return { entered: true }
      })
    })
    const call = async (...scopes: Scope[]) =>
      await fetch(`${url}/guarded`, { method: 'POST', headers: await bearer(...scopes) })
    const refused = await call('agent:read')
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      403,
      'Bearer error="insufficient_scope", scope="agent:read task:claim"',
    ])
    expect((await problemOf(refused)).detail).toBe('The token lacks task:claim.')
    expect((await call('agent:read', 'task:claim')).status).toBe(200)
  })

  test('comes before the body is read', async () => {
    const { url } = await guarded()
    const init = { method: 'POST', body: '{"broken', headers: { 'content-type': 'application/json' } }
    expect((await fetch(`${url}/guarded`, init)).status).toBe(401)
    const large = { ...init, body: 'x'.repeat(1_000_000) }
    expect((await fetch(`${url}/guarded`, large)).status).toBe(401)
  })

  test.each([
    'Basic abc',
    'Bearer',
    'Bearer ',
    'bearer a b',
    'Bearer a.b',
    'Token x.y.z',
    'Bearer a.b.c, Bearer d.e.f',
    "Bearer ' or 1=1 --",
  ])('an Authorization header of %j is 401', async (authorization) => {
    const { url } = await guarded()
    const response = await fetch(`${url}/guarded`, { method: 'POST', headers: { authorization } })
    expect(response.status).toBe(401)
  })
})

describe('who calls', () => {
  test('is known to the handler', async () => {
    const { url } = await serve((app) => {
      app.get('/me', { config: { scopes: ['agent:read'] } }, ({ principal }) => ({
        ...principal,
        scopes: [...principal.scopes],
      }))
    })
    const response = await fetch(`${url}/me`, { headers: await bearer('agent:read', 'mission:read') })
    expect(await response.json()).toEqual({
      subject: `${CLIENT}/one`,
      clientId: CLIENT,
      tenantId: TENANT,
      scopes: ['agent:read', 'mission:read'],
      tokenId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
  })

  test('is nobody on a public route, even with a token', async () => {
    const { url, logs } = await serve((app) => {
      app.get('/me', { config: { public: true } }, ({ principal }) => ({ subject: principal.subject }))
    })
    const response = await fetch(`${url}/me`, { headers: await bearer('agent:read') })
    expect(response.status).toBe(500)
    expect(JSON.stringify(logs)).toContain('it has no principal')
  })

  test('may write Bearer in any case', async () => {
    const { url } = await serve((app) => void app.get('/me', { config: { scopes: ['agent:read'] } }, () => ({})))
    const authorization = `bEARER ${await tokenFor('agent:read')}`
    expect((await fetch(`${url}/me`, { headers: { authorization } })).status).toBe(200)
  })

  test('needs the scope for HEAD as for GET', async () => {
    const { url } = await serve((app) => void app.get('/me', { config: { scopes: ['agent:read'] } }, () => ({})))
    expect((await fetch(`${url}/me`, { method: 'HEAD' })).status).toBe(401)
    expect((await fetch(`${url}/me`, { method: 'HEAD', headers: await bearer('agent:read') })).status).toBe(200)
  })
})

test('the table of routes names the policy of each', async () => {
  const { app } = await serve((app) => implement(app, ROUTES.claimTasks, async () => ({ tasks: [] })))
  expect(app.routeTable).toContainEqual({ method: 'POST', url: '/v1/claims', access: ['task:claim'] })
  const open = app.routeTable.filter(({ access }) => access === 'public').map(({ method, url }) => `${method} ${url}`)
  expect(open.filter((route) => route.startsWith('GET'))).toEqual(['GET /livez', 'GET /readyz', 'GET /openapi.json'])
})
