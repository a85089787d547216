import { newId } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { createRevocationList, isRetryable } from '@hypercode/db'
import { createPublisher } from '@hypercode/events'
import type { Keys } from '@hypercode/events'
import { createLoops, createService } from '@hypercode/http'
import type { AuthOptions, Check, Loops, ServiceApp } from '@hypercode/http'
import type { Logger, Metrics } from '@hypercode/telemetry'
import type { Redis } from 'ioredis'
import { sql } from 'kysely'
import type { FactoryLimits } from './domain/blueprint-faults.ts'
import type { Driver } from './drivers/driver.ts'
import { createEngine } from './engine/engine.ts'
import type { Engine } from './engine/engine.ts'
import { createRing } from './engine/fleet.ts'
import type { Fleet } from './engine/fleet.ts'
import { createKeeper } from './engine/keeper.ts'
import type { KeeperLimits } from './engine/keeper.ts'
import { createLogPump } from './engine/log-pump.ts'
import { createNudge } from './engine/nudge.ts'
import { park } from './engine/park.ts'
import { createOrphanSweep } from './engine/orphans.ts'
import { createLaunchSecret } from './engine/launch-secret.ts'
import type { LaunchSettings } from './engine/plan-launch.ts'
import { createPlatformProbe } from './engine/platform-probe.ts'
import { createScaler } from './engine/scaler.ts'
import { factoryMetrics } from './metrics.ts'
import { blueprintRoutes } from './routes/blueprints.ts'
import { instanceRoutes } from './routes/instances.ts'
import { logRoutes } from './routes/logs.ts'
import { deleteOldLines } from './store/logs.ts'

export interface AppOptions {
  readonly auth: Pick<AuthOptions, 'issuer' | 'audience' | 'keys'>
  readonly limits: FactoryLimits
  readonly launch: LaunchSettings
  /** From which the client secret of each launch is derived; the same in every replica. */
  readonly secret: string
  readonly keeper: KeeperLimits
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
  /** One turn of scaling, and one look for orphans; both also run as loops. */
  readonly rescale: () => Promise<void>
  readonly sweepOrphans: () => Promise<void>
  startLoops(): void
  /** Stops the loops and lets others have what this replica held. */
  stop(): Promise<void>
}

const VERSION = '0.1.0'
const RELAY_EVERY_MS = 1000
const REVOCATIONS_EVERY_MS = 1000
const LOGS_EVERY_MS = 500
const PROBE_EVERY_MS = 2000
const CLEAN_EVERY_MS = 60_000
const BACKOFF_MAX_MS = 2000
/** The engine waits by itself. */
const ENGINE_EVERY_MS = 10
const STOP_WAIT_MS = 5000
/** The longest life of a token that any gateway gives. */
const TOKEN_LIFE_S = 900

export async function buildApp(options: AppOptions, deps: AppDeps): Promise<FactoryApp> {
  const { db, redis, keys, drivers, log } = deps
  const metrics = factoryMetrics(deps.metrics)
  const loops = createLoops({ log, metrics: deps.metrics })
  const revocations = createRevocationList(db)
  const publisher = createPublisher({
    db,
    redis,
    keys,
    onFailure: (err) => log.warn({ err }, 'hint not published yet'),
  })
  const nudge = createNudge()
  const fleet: Fleet = {
    db,
    publish: (row) => publisher.publishSoon(row),
    tokenLifeS: TOKEN_LIFE_S,
    limits: options.limits,
    instancesMax: options.instancesMax,
    nudge,
    ring: createRing({ redis, keys, log }),
  }
  const probe = createPlatformProbe(options.launch.agentUrl)
  const pump = createLogPump({ db, log, linesMax: options.logLinesMax })
  const owner = newId()
  const keeper = createKeeper({
    ...fleet,
    owner,
    drivers,
    pump,
    launchSettings: options.launch,
    launchSecret: createLaunchSecret(options.secret),
    log,
    metrics,
    weather: () => ({ canJudgeSilence: probe.hasAnsweredFor(options.silenceGraceMs) }),
    limits: options.keeper,
  })
  const { leaseMs, hostLostMs, tickMs, instancesMax } = options
  const ownership = { owner, leaseMs, hostLostMs, ownedMax: instancesMax }
  const { populationMax } = options.limits
  const engine = createEngine({ db, drivers, keeper, nudge, ownership, populationMax, tickMs, log, metrics })
  const rescale = createScaler({ fleet, scaleAfterMs: options.scaleAfterMs, log, metrics })
  const sweepOrphans = createOrphanSweep({ db, drivers, graceMs: options.orphanGraceMs, log, metrics })

  const app = await createService({
    name: 'agent-factory',
    version: VERSION,
    logger: log,
    metrics: deps.metrics,
    auth: { ...options.auth, isRevoked: (claims) => revocations.isRevoked(claims) },
    checks: checks(deps, loops),
    ...(options.trustProxy !== undefined && { trustProxy: options.trustProxy }),
    isUnavailable: isRetryable,
    openapi: { title: 'HyperCode agent factory' },
  })
  blueprintRoutes(app, { fleet, metrics })
  instanceRoutes(app, fleet)
  logRoutes(app, { db, streamsMax: options.logStreamsMax })

  return {
    app,
    engine,
    rescale,
    sweepOrphans,
    startLoops() {
      const start = (name: string, everyMs: number, run: (signal: AbortSignal) => Promise<void>): void =>
        loops.start(name, { everyMs, backoffMaxMs: BACKOFF_MAX_MS, run })
      start('engine', ENGINE_EVERY_MS, async (signal) => await engine.turn(signal))
      start('scaler', options.scaleMs, rescale)
      start('orphans', options.orphanMs, sweepOrphans)
      start('logs', LOGS_EVERY_MS, async () => await pump.pump(engine.running()))
      start('platform', PROBE_EVERY_MS, async () => await probe.look())
      start('outbox', RELAY_EVERY_MS, async () => void (await publisher.relayTurn()))
      start('revocations', REVOCATIONS_EVERY_MS, async () => await revocations.refresh())
      start('old-logs', CLEAN_EVERY_MS, async () => void (await deleteOldLines(db, options.logKeepMs)))
    },
    async stop() {
      await loops.stop()
      await engine.stop(STOP_WAIT_MS)
      if (options.stopAgents) {
        const graceMs = options.launch.agentDrainMs
        await park({ ...fleet, owner, drivers, graceMs, log }, await engine.owned())
      }
      await engine.release()
      await publisher.idle()
    },
  }
}

/** What /readyz asks. Drivers are not part of it: a factory whose engine is away still answers for what it knows. */
function checks({ db, redis }: AppDeps, loops: Loops): Record<string, Check> {
  return {
    postgres: async () => {
      await sql`select 1`.execute(db)
    },
    redis: async () => {
      await redis.ping()
    },
    loops: () => loops.check(),
  }
}
