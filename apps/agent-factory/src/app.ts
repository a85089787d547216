import type { Db } from '@hypercode/db'
import { isRetryable } from '@hypercode/db'
import type { Keys } from '@hypercode/events'
import { createService } from '@hypercode/http'
import type { AuthOptions, ServiceApp } from '@hypercode/http'
import { createBackbone } from '@hypercode/service'
import type { Logger, Metrics } from '@hypercode/telemetry'
import type { Redis } from 'ioredis'
import type { FactoryLimits } from './domain/blueprint-faults.ts'
import type { Driver } from './drivers/driver.ts'
import type { Engine } from './engine/engine.ts'
import type { LaunchSettings } from './engine/plan-launch.ts'
import { createParts } from './parts.ts'
import { blueprintRoutes } from './routes/blueprints.ts'
import { instanceRoutes } from './routes/instances.ts'
import { logRoutes } from './routes/logs.ts'
import { deleteOldLines } from './store/logs.ts'
import { forgetOldSpawns } from './store/spawns.ts'

export interface AppOptions {
  readonly auth: Pick<AuthOptions, 'issuer' | 'audience' | 'keys'>
  readonly limits: FactoryLimits
  readonly launch: LaunchSettings
  /** From which the client secret of each launch is derived; the same in every replica. */
  readonly secret: string
  readonly keeper: {
    /** Starts on their way at the same time. */
    readonly startsMax: number
    readonly startTimeoutMs: number
    /** Longest wait for a driver to say how a process is. */
    readonly inspectTimeoutMs: number
    /** Between SIGTERM and SIGKILL. */
    readonly stopGraceMs: number
  }
  readonly instancesMax: number
  readonly tickMs: number
  readonly leaseMs: number
  readonly scaleMs: number
  readonly scaleAfterMs: number
  readonly orphanMs: number
  readonly orphanGraceMs: number
  readonly silenceGraceMs: number
  readonly hostLostMs: number
  readonly logLinesMax: number
  readonly logKeepMs: number
  readonly logStreamsMax: number
  /** End everything that runs here when the factory ends; otherwise it goes on, and the next factory looks after it. */
  readonly stopAgents: boolean
  readonly trustProxy?: readonly string[]
}

export interface AppDeps {
  readonly db: Db
  readonly redis: Redis
  readonly keys: Keys
  readonly drivers: ReadonlyMap<string, Driver>
  readonly log: Logger
  readonly metrics: Metrics
}

export interface FactoryApp {
  readonly app: ServiceApp
  readonly engine: Engine
  startLoops(): void
  /** Stops the loops and lets others have what this replica held. */
  stop(): Promise<void>
}

const VERSION = '0.1.0'
const LOGS_EVERY_MS = 500
const PROBE_EVERY_MS = 2000
const CLEAN_EVERY_MS = 60_000
const BACKOFF_MAX_MS = 2000
/** The engine waits by itself. */
const ENGINE_EVERY_MS = 10
const STOP_WAIT_MS = 5000

export async function buildApp(options: AppOptions, deps: AppDeps): Promise<FactoryApp> {
  const { db, log } = deps
  const backbone = createBackbone({ ...deps, pools: [db] })
  const { loops, publisher, revocations } = backbone
  const parts = createParts(options, { ...deps, publisher })
  const { fleet, metrics, engine, rescale, sweepOrphans } = parts

  const app = await createService({
    name: 'agent-factory',
    version: VERSION,
    logger: log,
    metrics: deps.metrics,
    auth: { ...options.auth, isRevoked: backbone.isRevoked },
    // Drivers are not asked: a factory whose engine is away still answers for what it knows.
    checks: backbone.checks,
    ...(options.trustProxy !== undefined && { trustProxy: options.trustProxy }),
    isUnavailable: isRetryable,
    openapi: { title: 'HyperCode agent factory' },
  })
  blueprintRoutes(app, { fleet, metrics })
  instanceRoutes(app, fleet)
  logRoutes(app, { db, revocations, streamsMax: options.logStreamsMax })

  return {
    app,
    engine,
    startLoops() {
      backbone.startReading()
      backbone.startRelaying()
      const start = (name: string, everyMs: number, run: (signal: AbortSignal) => Promise<void>): void =>
        loops.start(name, { everyMs, backoffMaxMs: BACKOFF_MAX_MS, run })
      start('engine', ENGINE_EVERY_MS, async (signal) => await engine.turn(signal))
      start('scaler', options.scaleMs, rescale)
      start('orphans', options.orphanMs, sweepOrphans)
      start('logs', LOGS_EVERY_MS, async () => await parts.pump.pump(engine.running()))
      start('platform', PROBE_EVERY_MS, async () => await parts.probe.look())
      start('old-logs', CLEAN_EVERY_MS, async () => void (await deleteOldLines(db, options.logKeepMs)))
      start('old-spawns', CLEAN_EVERY_MS, async () => void (await forgetOldSpawns(db)))
    },
    async stop() {
      await loops.stop()
      await engine.stop(STOP_WAIT_MS)
      if (options.stopAgents) await parts.endAgents()
      await engine.release()
      await publisher.idle()
    },
  }
}
