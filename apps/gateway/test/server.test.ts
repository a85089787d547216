import { generateSecret } from '@hypercode/config'
import { createFaultProxy, createTestClient, testSecrets, waitFor } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { subscribe } from './support/event-source.ts'
import { askToken, call, test } from './support/gateway.ts'
import { createMission } from './support/missions.ts'

const ENTRY = 'apps/gateway/src/server.ts'
const environment = (database: { url: string }, redisUrl: string) => ({
  JWT_SECRET: testSecrets.jwtSecret,
  DATABASE_URL: database.url,
  REDIS_URL: redisUrl,
})

describe('the process', () => {
  test('starts from its environment, says where it listens, and drains on SIGTERM', async ({
    startService,
    database,
    redisUrl,
    db,
    tenant,
  }) => {
    const gateway = await startService({
      entry: ENTRY,
      portVariable: 'GATEWAY_PORT',
      env: environment(database, redisUrl),
    })
    const line = await gateway.waitForLine(({ msg }) => msg === 'gateway is up', 'that it listens')
    expect(line).toMatchObject({ service: 'gateway', level: 'info', url: gateway.url })
    expect(JSON.stringify(gateway.lines)).not.toContain(testSecrets.jwtSecret)

    const client = await createTestClient(db, tenant.id, ['mission:read'])
    const token = String((await askToken(gateway, client)).body['access_token'])
    const mission = await createMission(db, tenant.id)
    const stream = await subscribe(`${gateway.url}/v1/missions/${mission.id}/events`, { token })
    expect(stream.status).toBe(200)

    const stoppedAt = performance.now()
    const exit = await gateway.stop()
    expect(exit).toEqual({ code: 0, signal: null })
    expect(performance.now() - stoppedAt).toBeLessThan(5000)
    await waitFor(() => stream.ended, { what: 'the stream to end' })
  })

  test('takes a free port when it is told 0', async ({ startService, database, redisUrl }) => {
    const gateway = await startService({
      entry: ENTRY,
      readyPath: false,
      env: { ...environment(database, redisUrl), GATEWAY_PORT: '0' },
    })
    const { url } = await gateway.waitForLine(({ msg }) => msg === 'gateway is up', 'that it listens', 15_000)
    expect((await call(`${String(url)}/livez`)).body).toMatchObject({ alive: true, service: 'gateway' })
  })

  test('refuses to start without a key, with two, and with stand-ins, naming all of them', async ({
    startService,
    database,
    redisUrl,
  }) => {
    const good = environment(database, redisUrl)
    const cases: [Record<string, string>, string[]][] = [
      [{ ...good, JWT_SECRET: '' }, ['JWT_SECRET']],
      [
        { ...good, JWT_SECRET: 'changethis', REDIS_URL: 'redis://:changethis@127.0.0.1:1/0' },
        ['JWT_SECRET', 'REDIS_URL'],
      ],
      [{ ...good, JWT_PRIVATE_KEY: generateSecret() }, ['JWT_SECRET', 'JWT_PRIVATE_KEY']],
      [{ ...good, TOKEN_TTL_S: '901', GATEWAY_POOL_MAX: '0' }, ['TOKEN_TTL_S', 'GATEWAY_POOL_MAX']],
    ]
    for (const [env, variables] of cases) {
      const refused = await startService({ entry: ENTRY, readyPath: false, env })
      expect(await refused.exited).toEqual({ code: 78, signal: null })
      const text = JSON.stringify(refused.lines)
      for (const variable of variables) expect(text).toContain(variable)
      expect(text).not.toContain('changethis')
    }
  })
})

describe('GET /readyz', () => {
  test('is red without Postgres, says so within its time limit, and turns green again', async ({
    startGateway,
    database,
  }) => {
    const fault = await createFaultProxy(database.url)
    try {
      const gateway = await startGateway({ DATABASE_URL: fault.through(database.url) })
      await waitFor(async () => (await call(`${gateway.url}/readyz`)).status === 200, { what: 'green' })
      await fault.setMode('black-hole')
      const askedAt = performance.now()
      const red = await call(`${gateway.url}/readyz`)
      expect(performance.now() - askedAt).toBeLessThan(3000)
      expect(red.status).toBe(503)
      expect(red.body).toMatchObject({ ready: false, checks: { postgres: { ok: false }, redis: { ok: true } } })
      expect((await call(`${gateway.url}/livez`)).status).toBe(200)
      await fault.setMode('pass')
      await waitFor(async () => (await call(`${gateway.url}/readyz`)).status === 200, {
        what: 'green',
        timeoutMs: 10_000,
      })
      await gateway.close()
    } finally {
      await fault.stop()
    }
  })
})
