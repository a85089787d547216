import { testSecrets, throughProxy, waitFor } from '@hypercode/testkit'
import type { Instance } from '@hypercode/contracts'
import { expect } from 'vitest'
import { driverIn, pidOf, test } from './factory.ts'
import type { Factory } from './factory.ts'
import { manifestOf } from './manifest-of.ts'
import { runAs } from './drivers/setup.ts'

const LONG = 60_000

// Goal: a factory without its database harms nothing, says so, and goes on by itself.
// Method: the database is behind a proxy that falls silent and refuses; the process of the instance is watched meanwhile.
test('without Postgres the factory is not ready, its instances run on, and it comes back by itself', {
  timeout: LONG,
}, async ({ startFactory, database }) => {
  await throughProxy(database.url, { poolMax: 3 }, async (far, proxy) => {
    let factory: Factory | undefined
    try {
      factory = await startFactory(undefined, { tickMs: 50, leaseMs: 1000 }, { otherDb: far })
      factory.startLoops()
      const { app } = factory
      const caller = factory.caller()
      await caller.blueprint('coder')
      const [{ id }] = (await caller.spawn('coder', 1)) as [Instance]
      const before = await caller.until(id, 'its process', (one) => one.place !== undefined)
      const status = async () => (await app.inject('/readyz')).statusCode
      await waitFor(async () => (await status()) === 200, { what: 'a factory that is ready' })

      await proxy.setMode('refuse')
      await waitFor(async () => (await status()) === 503, { what: 'a factory that is not ready', timeoutMs: 10_000 })
      expect((await caller.call('GET', '/v1/instances')).status).toBe(503)
      await proxy.setMode('pass')
      await waitFor(async () => (await status()) === 200, { what: 'a factory that is ready again', timeoutMs: 15_000 })
      const after = await caller.until(id, 'the instance to be held again', (one) => one.place !== undefined)
      expect(after).toMatchObject({ starts: 1, crashes: [], place: before.place })
      process.kill(pidOf(after), 'SIGKILL')
      await caller.until(id, 'its replacement', (one) => one.starts === 2 && one.place !== undefined)
    } finally {
      await factory?.stop()
    }
  })
})

// Goal: nobody makes instances twice because the answer to the first time was an error. Method: the database goes while a spawn waits.
test('a spawn that is done is answered as done, though Postgres was away meanwhile', {
  timeout: LONG,
}, async ({ startFactory, database }) => {
  await throughProxy(database.url, { poolMax: 3 }, async (far, proxy) => {
    let factory: Factory | undefined
    try {
      factory = await startFactory(undefined, {}, { otherDb: far })
      const { app } = factory
      const caller = factory.caller()
      const spawnings = `/v1/blueprints/patient/versions/candidate:spawn`
      await caller.blueprint('patient')
      let isAnswered = false
      const answer = caller.call<{ instances: Instance[] }>('POST', spawnings, { waitMs: 5000 }).finally(() => {
        isAnswered = true
      })
      await waitFor(async () => (await caller.instances('?blueprint=patient')).length === 1, { what: 'the instance' })
      await proxy.setMode('refuse')
      await waitFor(async () => (await app.inject('/readyz')).statusCode === 503, {
        what: 'a factory without database',
      })
      expect(isAnswered).toBe(false)
      await proxy.setMode('pass')
      expect(await answer).toMatchObject({ status: 201, body: { instances: [{ blueprint: 'patient' }] } })
    } finally {
      await factory?.stop()
    }
  })
})

test('as a process it starts, drains, and leaves its agents running, or none when it is told so', {
  timeout: LONG,
}, async ({ startService, startFactory, database, redisUrl, folder, db }) => {
  const env = {
    DATABASE_URL: database.url,
    REDIS_URL: redisUrl,
    JWT_SECRET: testSecrets.jwtSecret,
    FACTORY_SECRET: 'one-secret-for-all-factories-of-a-test',
    FACTORY_DIR: folder,
    FACTORY_ENTRY_ROOTS: import.meta.dirname,
    FACTORY_AGENT_URL: 'http://127.0.0.1:9',
    FACTORY_TICK_MS: '100',
    FACTORY_LEASE_MS: '1000',
    FACTORY_AGENT_DRAIN_MS: '500',
    ...(runAs === 'root' && { FACTORY_RUN_AS: runAs }),
  }
  const service = await startService({ entry: 'apps/agent-factory/src/server.ts', portVariable: 'FACTORY_PORT', env })
  const ready = (await (await fetch(`${service.url}/readyz`)).json()) as { checks: Record<string, unknown> }
  expect(Object.keys(ready.checks)).toEqual(expect.arrayContaining(['postgres', 'redis', 'revocations', 'loops']))
  // An app beside it, for its token and its rows; it looks at nothing itself.
  const caller = (await startFactory()).caller()
  await caller.blueprint('coder', manifestOf('coder').spec)
  const [{ id }] = (await caller.spawn('coder', 1)) as [Instance]
  const running = await caller.until(id, 'its process', (one) => one.place !== undefined)
  expect((await service.stop()).code).toBe(0)
  const rows = await db.selectFrom('factory_instances').select('owner').execute()
  expect(rows).toEqual([{ owner: null }])
  expect(await driverIn(folder).list()).toHaveLength(1)
  expect(() => process.kill(pidOf(running), 0)).not.toThrow()

  await service.restart({ FACTORY_STOP_AGENTS: 'true' })
  await service.waitForLine((line) => String(line['msg']).includes('looked after from here'), 'adoption')
  expect(await caller.instance(id)).toMatchObject({ starts: 1, place: running.place })
  expect((await service.stop()).code).toBe(0)
  await waitFor(async () => (await caller.instance(id)).place === undefined, { what: 'its process to be given up' })
  expect(() => process.kill(pidOf(running), 0)).toThrow('ESRCH')
})
