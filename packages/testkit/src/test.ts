/**
 * The `test` of everything that needs Postgres or Redis. Importing it starts the servers of the run, before the clock of any test runs.
 * Fixtures are made when a test names them, and taken down in the opposite order after it.
 */
import { randomBytes } from 'node:crypto'
import { openDatabase } from '@hypercode/db'
import { makeKeys, openRedis } from '@hypercode/events'
import { test as base } from 'vitest'
import { atMost } from './at-most.ts'
import { expectNoConnections } from './leaks.ts'
import { runServers } from './run-client.ts'
import { spawnService } from './spawn-service.ts'
import type { ServiceProcess, SpawnOptions } from './spawn-service.ts'
import { createTestTenant } from './tenants.ts'
import { cloneDatabase, dropDatabase } from './test-database.ts'

const servers = await runServers()

/** A pool waits for the connections that are still in use: somebody forgot a transaction, or a query hangs. */
const CLOSE_MAX_MS = 10_000

export const test = base
  /** A migrated database of the test's own. It is an error to leave connections to it open. */
  .extend('database', async ({ task }, { onCleanup }) => {
    const database = await cloneDatabase(servers)
    onCleanup(async () => {
      try {
        await expectNoConnections(servers, database.name, task.name)
      } finally {
        await dropDatabase(servers, database.name)
      }
    })
    return database
  })
  /** The database as a service sees it: through PgBouncer, as the role of the services. */
  .extend('db', async ({ database, task }, { onCleanup }) => {
    const handle = openDatabase({
      url: database.url,
      poolMax: 5,
      applicationName: `test: ${task.name}`.slice(0, 60),
      onIdleError: () => undefined, // tests may cut connections on purpose; what matters fails in their queries
    })
    onCleanup(async () => await atMost(CLOSE_MAX_MS, `closing the database of "${task.name}"`, handle.close()))
    return handle.db
  })
  .extend('tenant', async ({ db }) => await createTestTenant(db))
  /** For "nobody else's": what one tenant does must be invisible to the other. */
  .extend('secondTenant', async ({ db }) => await createTestTenant(db))
  /** Shared by all tests; use `keys` or `keyPrefix`, and never empty it. */
  .extend('redisUrl', servers.redisUrl)
  /** Every key that starts with it is the test's own, and is deleted after it. */
  .extend('keyPrefix', async ({ redisUrl }, { onCleanup }) => {
    const prefix = `test-${randomBytes(8).toString('hex')}`
    onCleanup(async () => await atMost(CLOSE_MAX_MS, 'deleting keys of Redis', deleteKeys(redisUrl, prefix)))
    return prefix
  })
  .extend('keys', ({ keyPrefix }) => makeKeys(keyPrefix))
  .extend('redis', async ({ redisUrl }, { onCleanup }) => {
    const redis = openRedis({ url: redisUrl, role: 'reader', onError: () => undefined })
    onCleanup(() => redis.disconnect())
    return redis
  })
  /** Starts a service as a process of its own; whatever still runs after the test is stopped before its database is checked. */
  .extend('startService', async ({ database }, { onCleanup }) => {
    void database // made before, so that it is checked after the services have gone
    const started: ServiceProcess[] = []
    onCleanup(async () => {
      // Its own ten seconds to drain, then SIGKILL.
      await Promise.all(started.map(async (service) => await atMost(15_000, 'stopping a service', service.stop())))
    })
    return async (options: SpawnOptions): Promise<ServiceProcess> => {
      const service = await spawnService(options)
      started.push(service)
      return service
    }
  })

async function deleteKeys(url: string, prefix: string): Promise<void> {
  const redis = openRedis({ url, role: 'reader', onError: () => undefined })
  try {
    let cursor = '0'
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', 1000)
      if (keys.length > 0) await redis.del(...keys)
      cursor = next
    } while (cursor !== '0')
  } finally {
    redis.disconnect()
  }
}
