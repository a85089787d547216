import { isRetryable } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import type { Keys, Publish } from '@hypercode/events'
import { createService } from '@hypercode/http'
import type { AuthOptions, ServiceApp } from '@hypercode/http'
import type { Sandbox } from '@hypercode/sandbox'
import { createBackbone } from '@hypercode/service'
import type { Logger, Metrics } from '@hypercode/telemetry'
import type { Redis } from 'ioredis'
import { createEngine } from './engine/engine.ts'
import type { Engine } from './engine/engine.ts'
import { createLiveScoring } from './engine/live.ts'
import type { LiveScoring } from './engine/live.ts'
import type { EngineSettings } from './engine/run-context.ts'
import { gymMetrics } from './metrics.ts'
import { createIdentity } from './platform/identity.ts'
import { reportRoutes } from './routes/reports.ts'
import { runRoutes } from './routes/runs.ts'
import { suiteRoutes } from './routes/suites.ts'
import type { ModelEndpoint, ScorerModules } from './scoring/index.ts'
import { createSuiteReader } from './suites/index.ts'

export interface AppOptions {
  readonly auth: Pick<AuthOptions, 'issuer' | 'audience' | 'keys'>
  /** The public API, through which the gym does everything that it does to agents. */
  readonly apiUrl: string
  /** Of the gym's own clients, see `platform/identity.ts`. */
  readonly secret: string
  readonly engine: EngineSettings
  readonly samplesMax: number
  readonly pollMs: number
  readonly liveMs: number
  readonly trustProxy?: readonly string[]
}

export interface AppDeps {
  readonly db: Db
  readonly redis: Redis
  readonly keys: Keys
  readonly log: Logger
  readonly metrics: Metrics
  readonly sandbox?: Sandbox | undefined
  readonly modules: ScorerModules
  readonly model?: ModelEndpoint | undefined
}

export interface GymApp {
  readonly app: ServiceApp
  readonly engine: Engine
  readonly live: LiveScoring
  /** Starts carrying out runs, scoring production tasks, publishing and reading revocations. */
  startLoops(): void
  /** Stops them and lets go of the runs in hand. */
  stop(): Promise<void>
}

const VERSION = '0.1.0'
/** While the database is away, the leases of runs in hand run out. */
const BACKOFF_MAX_MS = 2000

export async function buildApp(options: AppOptions, deps: AppDeps): Promise<GymApp> {
  const { db, log, modules, sandbox, model } = deps
  const backbone = createBackbone({ ...deps, pools: [db] })
  const { loops, publisher } = backbone
  const publish: Publish = (row) => publisher.publishSoon(row)

  const identity = createIdentity({ db, baseUrl: options.apiUrl, secret: options.secret })
  const engineDeps = {
    db,
    publish,
    identity,
    log,
    metrics: gymMetrics(deps.metrics),
    settings: options.engine,
    sandbox,
    modules,
    model,
  }
  const engine = createEngine(engineDeps)
  const live = createLiveScoring(engineDeps, options.secret)

  const app = await createService({
    name: 'turing-gym',
    version: VERSION,
    logger: log,
    metrics: deps.metrics,
    auth: { ...options.auth, isRevoked: backbone.isRevoked },
    checks: backbone.checks,
    ...(options.trustProxy !== undefined && { trustProxy: options.trustProxy }),
    isUnavailable: isRetryable,
    openapi: { title: 'HyperCode turing gym' },
  })
  const means = { hasModel: model !== undefined, hasSandbox: sandbox !== undefined }
  suiteRoutes(app, { db, reader: createSuiteReader(modules) })
  runRoutes(app, { db, publish, means, samplesMax: options.samplesMax })
  reportRoutes(app, { db })

  return {
    app,
    engine,
    live,
    startLoops() {
      const everyMs = Math.min(options.pollMs, options.engine.leaseMs / 3)
      loops.start('runs', { everyMs, backoffMaxMs: BACKOFF_MAX_MS, run: async () => await engine.turn() })
      loops.start('live', { everyMs: options.liveMs, run: async () => await live.turn() })
      backbone.startReading()
      backbone.startRelaying()
    },
    async stop() {
      await loops.stop()
      await Promise.all([engine.stop(), live.stop()])
      await publisher.idle()
    },
  }
}
