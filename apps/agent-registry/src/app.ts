import type { Db } from '@hypercode/db'
import { isRetryable } from '@hypercode/db'
import type { Keys, Publish } from '@hypercode/events'
import { createService } from '@hypercode/http'
import type { AuthOptions, ServiceApp } from '@hypercode/http'
import { createBackbone } from '@hypercode/service'
import type { Logger, Metrics } from '@hypercode/telemetry'
import type { Redis } from 'ioredis'
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

export async function buildApp(options: AppOptions, deps: AppDeps): Promise<RegistryApp> {
  const { db, beatDb, log } = deps
  const { leaseMs, heartbeatMs } = options
  const metrics = registryMetrics(deps.metrics)
  const backbone = createBackbone({ ...deps, pools: [db, beatDb] })
  const { loops, publisher } = backbone
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
    auth: { ...options.auth, isRevoked: backbone.isRevoked },
    checks: backbone.checks,
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
      backbone.startReading()
      backbone.startRelaying()
    },
    async stop() {
      await loops.stop()
      await Promise.all([beats.idle(), registrations.idle()])
      await publisher.idle()
    },
  }
}

const VERSION = '0.1.0'
