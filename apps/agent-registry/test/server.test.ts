import { AGENT_SCOPES, newId } from '@hypercode/contracts'
import type { Readiness, Registration } from '@hypercode/contracts'
import { addRevocation } from '@hypercode/db'
import { signTestToken, testSecrets, waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { card, eventsOf, test } from './registry.ts'

const ENTRY = 'apps/agent-registry/src/server.ts'

const envOf = (databaseUrl: string, redisUrl: string): Record<string, string> => ({
  DATABASE_URL: databaseUrl,
  REDIS_URL: redisUrl,
  JWT_SECRET: testSecrets.jwtSecret,
  JWT_ISSUER: testSecrets.issuer,
  JWT_AUDIENCE: testSecrets.audience,
  AGENT_LEASE_MS: '900',
  AGENT_HEARTBEAT_MS: '300',
  REGISTRY_SWEEP_MS: '100',
  DEREGISTER_CRITICAL_AFTER_MS: '1000',
})

// Goal: the service as a process: it says where it is, sweeps by itself, honours revocations, and drains on SIGTERM.
test('an instance that falls silent turns critical and is reaped, and the process ends cleanly', async ({
  startService,
  database,
  redisUrl,
  db,
  tenant,
}) => {
  const service = await startService({
    entry: ENTRY,
    portVariable: 'REGISTRY_PORT',
    env: envOf(database.url, redisUrl),
  })
  const line = await service.waitForLine((one) => one['url'] !== undefined, 'its url')
  expect(line).toMatchObject({ url: service.url, service: 'agent-registry', level: 'info' })
  const readiness = (await (await fetch(`${service.url}/readyz`)).json()) as Readiness
  expect(Object.keys(readiness.checks).sort()).toEqual(['loops', 'postgres', 'redis', 'revocations'])

  const tokenId = newId()
  const token = signTestToken({ tenantId: tenant.id, scopes: AGENT_SCOPES, tokenId })
  const call = async (path: string, body: object): Promise<Response> =>
    await fetch(`${service.url}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    })
  const registration = (await (await call('/v1/agents', card())).json()) as Registration
  expect(registration).toMatchObject({ leaseMs: 900, heartbeatMs: 300 })
  expect((await call('/agents/heartbeat', { incarnation: 1, seq: 1 })).status).toBe(200)

  await waitFor(async () => (await eventsOf(db, tenant.id)).at(-1)?.type === 'agent.deregistered', {
    what: 'the instance to be reaped',
    timeoutMs: 15_000,
  })
  const told = await eventsOf(db, tenant.id)
  expect(told.map((event) => event.body['to'] ?? event.type)).toEqual([
    'agent.registered',
    'passing',
    'warning',
    'critical',
    'agent.deregistered',
  ])
  const metrics = await fetch(`${service.url}/metrics`, {
    headers: { authorization: `Bearer ${signTestToken({ tenantId: tenant.id, scopes: ['metrics:read'] })}` },
  })
  expect(await metrics.text()).toMatch(/hypercode_registry_beats_total\{[^}]*outcome="beaten"[^}]*\} 1/)

  await addRevocation(db, { tenantId: tenant.id, kind: 'token', ref: tokenId, lifeS: 900 })
  await waitFor(async () => (await call('/v1/agents', card())).status === 401, { what: 'the token to be refused' })
  expect(await service.stop()).toEqual({ code: 0, signal: null })
  expect(service.lines.filter((one) => one['level'] === 'error' || one['level'] === 'fatal')).toEqual([])
})

test('registry frozen and woken up: nobody is declared critical by its own gap', async ({
  startService,
  database,
  redisUrl,
  db,
  tenant,
}) => {
  const env = { ...envOf(database.url, redisUrl), AGENT_LEASE_MS: '2000', AGENT_HEARTBEAT_MS: '300' }
  const service = await startService({ entry: ENTRY, portVariable: 'REGISTRY_PORT', env })
  const authorization = `Bearer ${signTestToken({ tenantId: tenant.id, scopes: AGENT_SCOPES })}`
  const call = async (path: string, body: object): Promise<Response> =>
    await fetch(`${service.url}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { authorization, 'content-type': 'application/json' },
    })
  await call('/v1/agents', card())
  expect((await call('/agents/heartbeat', { incarnation: 1, seq: 1 })).status).toBe(200)
  await service.waitForLine((one) => one['msg'] === 'brake released', 'the brake of the start to be released', 10_000)

  expect((await call('/agents/heartbeat', { incarnation: 1, seq: 2 })).status).toBe(200)
  service.kill('SIGSTOP')
  await waitFor(
    async () =>
      (await sql`select 1 from agent_instances where lease_expires_at < now() - interval '1 second'`.execute(db)).rows
        .length > 0,
    {
      what: 'the lease to run out while nobody can beat',
      timeoutMs: 10_000,
    },
  )
  service.kill('SIGCONT')
  await service.waitForLine((one) => one['reason'] === 'pause', 'the brake to be set')
  expect((await call('/agents/heartbeat', { incarnation: 1, seq: 3 })).status).toBe(200)
  const told = await eventsOf(db, tenant.id)
  expect(told.map((event) => event.body['to'])).not.toContain('critical')
})

test('a bad configuration is refused before anything starts', async ({ startService, database, redisUrl }) => {
  const env = { ...envOf(database.url, redisUrl), JWT_SECRET: 'changethis', AGENT_LEASE_MS: '10' }
  const service = await startService({ entry: ENTRY, env, readyPath: false })
  expect(await service.exited).toEqual({ code: 78, signal: null })
  const text = JSON.stringify(service.lines)
  expect(text).toContain('JWT_SECRET')
  expect(text).toContain('AGENT_LEASE_MS')
})
