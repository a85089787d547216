import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Readiness } from '@hypercode/contracts'
import { randomSecret, signTestToken, testSecrets, waitFor } from '@hypercode/testkit'
import { sql } from 'kysely'
import { expect } from 'vitest'
import { createIdentity } from '../src/platform/identity.ts'
import { test } from './gym.ts'

const ENTRY = 'apps/turing-gym/src/server.ts'

const envOf = (databaseUrl: string, redisUrl: string, folder: string): Record<string, string> => ({
  DATABASE_URL: databaseUrl,
  REDIS_URL: redisUrl,
  JWT_SECRET: testSecrets.jwtSecret,
  JWT_ISSUER: testSecrets.issuer,
  JWT_AUDIENCE: testSecrets.audience,
  GYM_SECRET: randomSecret(),
  GYM_DIR: folder,
})

test('the process says where it is and how it is, and ends cleanly', async ({
  startService,
  database,
  redisUrl,
  tenant,
}) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'gym-server-'))
  try {
    const service = await startService({
      entry: ENTRY,
      portVariable: 'GYM_PORT',
      env: envOf(database.url, redisUrl, folder),
    })
    const line = await service.waitForLine((one) => one['url'] !== undefined, 'its url')
    expect(line).toMatchObject({ url: service.url, service: 'turing-gym' })
    const readiness = (await (await fetch(`${service.url}/readyz`)).json()) as Readiness
    expect(Object.keys(readiness.checks).toSorted()).toEqual(['loops', 'postgres', 'redis', 'revocations'])
    const authorization = `Bearer ${signTestToken({ tenantId: tenant.id, scopes: ['gym:run', 'metrics:read'] })}`
    const suites = await fetch(`${service.url}/v1/gym/suites`, { headers: { authorization } })
    expect([suites.status, await suites.json()]).toEqual([200, { items: [] }])
    await waitFor(
      async () => {
        const metrics = await (await fetch(`${service.url}/metrics`, { headers: { authorization } })).text()
        return ['runs', 'live', 'outbox', 'revocations'].every((loop) =>
          new RegExp(`hypercode_loop_turns_total\\{[^}]*loop="${loop}"[^}]*\\} [1-9]`).test(metrics),
        )
      },
      { what: 'every loop to have turned' },
    )
    expect(await service.stop()).toEqual({ code: 0, signal: null })
    expect(service.lines.filter((one) => one['level'] === 'error' || one['level'] === 'fatal')).toEqual([])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a bad configuration is refused before anything starts', async ({ startService, database, redisUrl }) => {
  const env = { ...envOf(database.url, redisUrl, '/tmp'), GYM_SECRET: 'changethis', GYM_DIR: 'relative' }
  const service = await startService({ entry: ENTRY, env, readyPath: false })
  expect(await service.exited).toEqual({ code: 78, signal: null })
  const text = JSON.stringify(service.lines)
  expect(text).toContain('GYM_SECRET')
  expect(text).toContain('GYM_DIR')
})

test('all replicas of the gym are one client of a tenant, with the scopes that it needs and no other', async ({
  db,
  tenant,
  secondTenant,
}) => {
  const identity = createIdentity({ db, baseUrl: 'http://127.0.0.1:9', secret: 'one secret of the gym 0123456789' })
  const open = async (tenantId: string) => await (await identity.open(tenantId)).close()
  await Promise.all([open(tenant.id), open(tenant.id), open(tenant.id), open(secondTenant.id)])
  await open(tenant.id)
  const clients = await sql<{ tenant_id: string; scopes: string[]; secret_hash: Buffer }>`
    select tenant_id, scopes, secret_hash from clients where name = 'turing-gym' order by tenant_id = ${tenant.id} desc`.execute(
    db,
  )
  expect(clients.rows.map(({ tenant_id }) => tenant_id)).toEqual([tenant.id, secondTenant.id])
  expect(clients.rows[0]?.scopes).not.toContain('gym:run')
  expect(clients.rows[0]?.scopes).not.toContain('token:issue')
  expect(clients.rows[0]?.secret_hash).not.toEqual(clients.rows[1]?.secret_hash)
})
