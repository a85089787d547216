import type { Db } from '@hypercode/db'
import { createRevocationList, isRetryable } from '@hypercode/db'
import { createPublisher } from '@hypercode/events'
import type { Keys } from '@hypercode/events'
import { createLoops, createService } from '@hypercode/http'
import type { AuthOptions, Check, Loops, ServiceApp } from '@hypercode/http'
import type { Logger, Metrics } from '@hypercode/telemetry'
import type { Redis } from 'ioredis'
import { sql } from 'kysely'
import { missedAfterMs } from './domain/health.ts'
import { createBeats } from './jobs/beats.ts'
import { createRegistrationLane } from './jobs/registration-lane.ts'
import { createSweeper } from './jobs/sweeper.ts'
import type { Sweeper } from './jobs/sweeper.ts'
import { registryMetrics } from './metrics.ts'
import { agentRoutes } from './routes/agents.ts'
import { heartbeatRoutes } from './routes/heartbeat.ts'
import { managementRoutes } from './routes/management.ts'
import { registrationRoutes } from './routes/registration.ts'
import { tooBusy } from './routes/too-busy.ts'
import type { Publish } from '@hypercode/events'

export interface AppOptions {
  readonly auth: Pick<AuthOptions, 'issuer' | 'audience' | 'keys'>
  readonly leaseMs: number
  readonly heartbeatMs: number
  readonly sweepMs: number
  readonly deregisterAfterMs: number
  readonly trustProxy?: readonly string[]
}

export interface AppDeps {
  readonly db: Db
  /** Connections that beats alone use; the pool of `db` in a small set-up. */
  readonly beatDb: Db
  readonly redis: Redis
  readonly keys: Keys
  readonly log: Logger
  readonly metrics: Metrics
}

export interface RegistryApp {
  readonly app: ServiceApp
  readonly sweeper: Sweeper
  /** Starts sweeping, publishing and reading revocations. */
  startLoops(): void
  /** Stops them, and waits for what they and the lanes have in hand. */
  stop(): Promise<void>
}

/** While the database is away, sweeping costs little, and being late costs the agents' tasks. */
const SWEEP_BACKOFF_MAX_MS = 2000
const RELAY_EVERY_MS = 1000
const REVOCATIONS_EVERY_MS = 1000

export async function buildApp(options: AppOptions, deps: AppDeps): Promise<RegistryApp> {
  const { db, beatDb, redis, keys, log } = deps
  const { leaseMs, heartbeatMs } = options
  const metrics = registryMetrics(deps.metrics)
  const loops = createLoops({ log, metrics: deps.metrics })
  const revocations = createRevocationList(db)
  const onFailure = (err: unknown): void => log.warn({ err }, 'hint not published yet')
  const publisher = createPublisher({ db, redis, keys, onFailure })
  const publish: Publish = (row) => publisher.publishSoon(row)

  const beats = createBeats({ db, beatDb, publish, log, metrics, leaseMs, onFull: tooBusy })
  const registrations = createRegistrationLane({ db, publish, metrics, leaseMs, onFull: tooBusy })
  const limits = { missedAfterMs: missedAfterMs(heartbeatMs), deregisterAfterMs: options.deregisterAfterMs }
  const sweeper = createSweeper({ db, publish, log, metrics, leaseMs, limits })

  const app = await createService({
    name: 'agent-registry',
    version: VERSION,
    logger: log,
    metrics: deps.metrics,
    auth: { ...options.auth, isRevoked: (claims) => revocations.isRevoked(claims) },
    checks: checks(deps, loops),
    ...(options.trustProxy !== undefined && { trustProxy: options.trustProxy }),
    // Tried several times already: the caller may repeat it, and nothing of ours is wrong.
    isUnavailable: isRetryable,
    openapi: { title: 'HyperCode agent registry' },
  })
  registrationRoutes(app, { registrations, leaseMs, heartbeatMs })
  heartbeatRoutes(app, { db, beats })
  agentRoutes(app, { db })
  managementRoutes(app, { db, publish })

  return {
    app,
    sweeper,
    startLoops() {
      loops.start('sweep', {
        everyMs: options.sweepMs,
        backoffMaxMs: SWEEP_BACKOFF_MAX_MS,
        run: async (signal) => await sweeper.turn(signal),
      })
      loops.start('outbox', { everyMs: RELAY_EVERY_MS, run: async () => void (await publisher.relayTurn()) })
      loops.start('revocations', { everyMs: REVOCATIONS_EVERY_MS, run: async () => await revocations.refresh() })
    },
    async stop() {
      await loops.stop()
      await Promise.all([beats.idle(), registrations.idle()])
      await publisher.idle()
    },
  }
}

const VERSION = '0.1.0'

/** What /readyz asks. */
function checks({ db, beatDb, redis }: AppDeps, loops: Loops): Record<string, Check> {
  return {
    postgres: async () => {
      await Promise.all([sql`select 1`.execute(db), sql`select 1`.execute(beatDb)])
    },
    redis: async () => {
      await redis.ping()
    },
    loops: () => loops.check(),
  }
}
