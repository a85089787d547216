import { ROUTES } from '@hypercode/contracts'
import { implement } from '@hypercode/http'
import { expect, test } from 'vitest'
import { TENANT, bearer, serve } from './service.ts'

// Goal: the log tells each change once, and neither reads nor hot routes drown it.
test('requests that change something have one line each', async () => {
  const id = '01a2028a-1f54-73d7-833d-909f9c7f4a5e'
  const { url, logs } = await serve((app) => {
    implement(app, ROUTES.getAgentCard, async () => ({ name: 'a', version: '1', skills: [] }))
    implement(app, ROUTES.deleteAgent, async () => undefined)
    implement(app, ROUTES.heartbeatAgent, async () => ({ leaseMs: 1, lifecycle: 'ready', canceled: [], lost: [] }))
  })
  const headers = { ...(await bearer('agent:read', 'agent:write')), 'x-correlation-id': 'order-66' }
  const beat = {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: '{"incarnation":1,"seq":1}',
  }
  expect((await fetch(`${url}/v1/agents/${id}/card`, { headers })).status).toBe(200)
  expect((await fetch(`${url}/v1/agents/${id}/heartbeat`, beat)).status).toBe(200)
  expect((await fetch(`${url}/v1/agents/${id}`, { method: 'DELETE', headers })).status).toBe(204)
  expect((await fetch(`${url}/v1/agents/no-id`, { method: 'DELETE', headers })).status).toBe(400)
  const lines = (): unknown[] =>
    logs.filter(({ route }) => route !== undefined).map(({ level, msg, status, route }) => [level, msg, status, route])
  await expect.poll(lines).toEqual([
    ['info', 'request', 204, '/v1/agents/:id'],
    ['info', 'The request does not fit its schema', 400, '/v1/agents/:id'],
  ])
  const told = logs.find(({ msg }) => msg === 'request')
  expect(told).toMatchObject({ method: 'DELETE', correlationId: 'order-66', tenantId: TENANT, ms: expect.any(Number) })
  expect(JSON.stringify(logs)).not.toContain(id)
})
