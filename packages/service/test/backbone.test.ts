import { AGENT_SCOPES, newId } from '@hypercode/contracts'
import type { Readiness } from '@hypercode/contracts'
import { addRevocation, openDatabase } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { openRedis } from '@hypercode/events'
import { createService } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { createFaultProxy, signTestToken, test as base, testSecrets, waitFor } from '@hypercode/testkit'
import type { Redis } from 'ioredis'
import { sql } from 'kysely'
import { expect, onTestFinished, vi } from 'vitest'
import { createBackbone } from '../src/index.ts'
import type { Backbone } from '../src/index.ts'

interface Stage {
  readonly app: ServiceApp
  readonly backbone: Backbone
  readiness(): Promise<Readiness>
  failedTurns(loop: string): Promise<boolean>
  /** Status of a call with a token of this id. */
  callAs(tokenId: string): Promise<number>
}

const test = base.extend('startStage', async ({ db, redis, keys, tenant }, { onCleanup }) => {
  const closers: (() => Promise<unknown>)[] = []
  onCleanup(async () => {
    for (const close of closers) await close()
  })
  return async (over: { pools?: readonly [Db, ...Db[]]; redis?: Redis } = {}): Promise<Stage> => {
    const log = createLogger({ service: 'some-service', level: 'silent' })
    const metrics = createMetrics('some-service', { processMetrics: false })
    const backbone = createBackbone({ pools: [db], redis, keys, log, metrics, ...over })
    const { issuer, audience, jwtSecret } = testSecrets
    const app = await createService({
      name: 'some-service',
      version: '0.1.0',
      logger: log,
      metrics,
      auth: { issuer, audience, keys: { secret: jwtSecret }, isRevoked: backbone.isRevoked },
      checks: backbone.checks,
    })
    app.get('/guarded', { config: { scopes: ['agent:read'] } }, () => ({}))
    closers.push(async () => {
      await backbone.loops.stop()
      await backbone.publisher.idle()
      await app.close()
    })
    return {
      app,
      backbone,
      readiness: async () => (await app.inject('/readyz')).json<Readiness>(),
      failedTurns: async (loop) =>
        new RegExp(`hypercode_loop_errors_total\\{[^}]*loop="${loop}"[^}]*\\} [1-9]`).test(await metrics.render()),
      async callAs(tokenId) {
        const authorization = `Bearer ${signTestToken({ tenantId: tenant.id, scopes: AGENT_SCOPES, tokenId })}`
        return (await app.inject({ url: '/guarded', headers: { authorization } })).statusCode
      },
    }
  }
})

const start = ({ backbone }: Stage): void => {
  backbone.startReading()
  backbone.startRelaying()
}

test('a replica is ready when it knows who is revoked, and refuses whom it learns of later', async ({
  startStage,
  db,
  tenant,
}) => {
  const [early, late, good] = [newId(), newId(), newId()]
  await addRevocation(db, { tenantId: tenant.id, kind: 'token', ref: early, lifeS: 900 })
  const stage = await startStage()
  expect(await stage.readiness()).toMatchObject({
    ready: false,
    checks: { revocations: { ok: false, detail: 'not read yet' }, postgres: { ok: true }, loops: { ok: true } },
  })
  start(stage)
  await waitFor(async () => (await stage.readiness()).ready, { what: 'the replica is ready' })
  expect([await stage.callAs(early), await stage.callAs(late), await stage.callAs(good)]).toEqual([401, 200, 200])
  await addRevocation(db, { tenantId: tenant.id, kind: 'token', ref: late, lifeS: 900 })
  await waitFor(async () => (await stage.callAs(late)) === 401, { what: 'the second token to be refused' })
  expect(await stage.callAs(good)).toBe(200)
})

// Goal: losing Redis is a loss of latency and never an outage (ADR 9). Method: more hints than the relay can even try in the time of the
// test, so that each of its turns fails, and half a minute that passes for everybody who asks for the time.
test('a replica without Redis is ready, names what is missing, and publishes later', async ({
  startStage,
  db,
  redisUrl,
  redis,
  keys,
  tenant,
}) => {
  const proxy = await createFaultProxy(redisUrl)
  const far = openRedis({ url: proxy.through(redisUrl), role: 'producer', onError: () => undefined })
  onTestFinished(async () => {
    vi.restoreAllMocks()
    far.disconnect()
    await proxy.stop()
  })
  const stage = await startStage({ redis: far })
  start(stage)
  await waitFor(async () => (await stage.readiness()).checks['redis']?.ok, { what: 'Redis to be there' })
  await proxy.setMode('refuse')
  const hints = JSON.stringify([{ kind: 'agents', tenantId: tenant.id, seq: 1 }])
  await sql`insert into outbox (payload, next_try_at) select ${hints}::jsonb, now() from generate_series(1, 2000)`.execute(
    db,
  )
  await waitFor(async () => await stage.failedTurns('outbox'), { what: 'a relay turn to fail' })

  const real = performance.now.bind(performance)
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => real() + 30_000)
  await waitFor(async () => (await stage.readiness()).ready, { what: 'the other loops to come round' })
  expect(await stage.readiness()).toMatchObject({
    ready: true,
    checks: { redis: { ok: false }, postgres: { ok: true }, revocations: { ok: true }, loops: { ok: true } },
  })
  expect((await stage.app.inject('/readyz')).statusCode).toBe(200)
  clock.mockRestore()

  await proxy.setMode('pass')
  await waitFor(async () => (await redis.xlen(keys.events)) >= 2000, { what: 'all hints' })
  await waitFor(async () => (await stage.readiness()).checks['redis']?.ok, { what: 'Redis to be back' })
})

test('each pool is asked, and one that is silent turns the replica red', async ({ startStage, db, database }) => {
  const proxy = await createFaultProxy(database.url)
  const other = openDatabase({
    url: proxy.through(database.url),
    poolMax: 1,
    connectTimeoutMs: 300,
    queryTimeoutMs: 1000,
    applicationName: 'the other pool',
    onIdleError: () => undefined,
  })
  try {
    const stage = await startStage({ pools: [db, other.db] })
    start(stage)
    await waitFor(async () => (await stage.readiness()).ready, { what: 'the replica is ready' })
    await proxy.setMode('refuse')
    expect(await stage.readiness()).toMatchObject({
      ready: false,
      checks: { postgres: { ok: false }, redis: { ok: true } },
    })
    await proxy.setMode('pass')
    await waitFor(async () => (await stage.readiness()).ready, { what: 'the replica is ready again' })
  } finally {
    await other.close()
    await proxy.stop()
  }
})
