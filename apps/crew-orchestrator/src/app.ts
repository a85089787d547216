import { isConnectionError, deleteExpiredRevocations } from '@hypercode/db'
import type { DatabaseHandle } from '@hypercode/db'
import { parseBell, parseHints, tailStream } from '@hypercode/events'
import type { Keys } from '@hypercode/events'
import { CheckError, createService } from '@hypercode/http'
import type { Loops, ServiceApp } from '@hypercode/http'
import { createBackbone, tokenKeysOf } from '@hypercode/service'
import type { Logger, Metrics } from '@hypercode/telemetry'
import type { Redis } from 'ioredis'
import type { OrchestratorConfig } from './config.ts'
import { createBrake } from './domain/brake.ts'
import { createEngine } from './engine/engine.ts'
import type { Engine } from './engine/engine.ts'
import { createOperationTurns } from './engine/operation-turns.ts'
import type { OperationTurns } from './engine/operation-turns.ts'
import { createPlanSource } from './engine/plans.ts'
import { createRetention } from './engine/retention.ts'
import { createSchedules } from './engine/schedules.ts'
import type { Schedules } from './engine/schedules.ts'
import { createSkillBook } from './engine/skill-book.ts'
import { subCrewTurn } from './engine/sub-crews.ts'
import { sweepTurn } from './engine/sweep.ts'
import { contextRoutes } from './routes/context.ts'
import { approvalRoutes } from './routes/approvals.ts'
import { crewRoutes } from './routes/crews.ts'
import { deadLetterRoutes } from './routes/dead-letters.ts'
import { effectRoutes } from './routes/effects.ts'
import { journalRoutes } from './routes/journal.ts'
import { missionOperationRoutes } from './routes/mission-operations.ts'
import { missionRoutes } from './routes/missions.ts'
import { operationRoutes } from './routes/operations.ts'
import { queueRoutes } from './routes/queues.ts'
import { scheduleRoutes } from './routes/schedules.ts'
import { taskRoutes } from './routes/tasks.ts'
import { workRoutes } from './routes/work.ts'

const DAY_MS = 86_400_000
/** Most hints are of what this process has done itself. */
const HINT_PACE_MS = 5
const RETENTION_EVERY_MS = 5000

/** What cannot be swept is logged once each, up to so many. */
const STUCK_MAX = 1000

export interface AppDeps {
  database: DatabaseHandle
  urgentDatabase: DatabaseHandle
  redis: Redis
  keys: Keys
  logger: Logger
  metrics: Metrics
}

export interface Orchestrator {
  readonly app: ServiceApp
  readonly engine: Engine
  readonly schedules: Schedules
  readonly operations: OperationTurns
  /** Ends loops and streams and waits for what is in flight; the app itself is closed by its owner. */
  stop(): Promise<void>
}

export async function buildApp(config: OrchestratorConfig, deps: AppDeps): Promise<Orchestrator> {
  const { logger, metrics, redis, keys } = deps
  const { db } = deps.database
  const urgentDb = deps.urgentDatabase.db
  const backbone = createBackbone({ pools: [db], redis, keys, log: logger, metrics })
  const { loops, publisher } = backbone
  const app = await createService({
    name: 'crew-orchestrator',
    version: '0.1.0',
    logger,
    metrics,
    auth: {
      issuer: config.JWT_ISSUER,
      audience: config.JWT_AUDIENCE,
      keys: tokenKeysOf(config),
      isRevoked: backbone.isRevoked,
    },
    trustProxy: config.TRUST_PROXY,
    isUnavailable: isConnectionError,
    // Red within two seconds, also when Postgres is not gone but silent.
    checkTimeoutMs: 1500,
    checks: {
      ...backbone.checks,
      stream: {
        critical: false,
        run: () => {
          if (!tail.connected) throw new CheckError('the event stream is not being read')
        },
      },
    },
  })
  const engine = createEngine({
    config,
    db,
    urgentDb,
    redis,
    keys,
    publisher,
    onBellFailure: backbone.noteLost('doorbell'),
    onTold: logger.isLevelEnabled('info') ? (told) => logger.info(told, told.event) : undefined,
  })
  const onTailError = (error: Error): void => logger.warn({ err: error }, 'event stream')
  const tail = tailStream({
    url: config.REDIS_URL,
    stream: keys.events,
    onEntry: (fields) => engine.heard(parseHints(fields['hints'])),
    onGap: () => undefined,
    onError: onTailError,
    paceMs: HINT_PACE_MS,
  })
  const bell = tailStream({
    url: config.REDIS_URL,
    stream: keys.bell,
    onEntry: (fields) => engine.desk.wake(parseBell(fields['queues'])),
    onGap: () => undefined,
    onError: onTailError,
  })

  const plans = createPlanSource(engine)
  const schedules = createSchedules(engine, plans)
  crewRoutes(app, engine)
  missionRoutes(app, engine, plans)
  missionOperationRoutes(app, engine, plans)
  workRoutes(app, engine, createSkillBook(db))
  journalRoutes(app, engine, { outputMaxChars: config.TASK_OUTPUT_MAX_CHARS })
  taskRoutes(app, engine)
  approvalRoutes(app, engine)
  effectRoutes(app, engine)
  contextRoutes(app, engine)
  queueRoutes(app, engine)
  scheduleRoutes(app, engine, schedules)
  deadLetterRoutes(app, engine)
  operationRoutes(app, engine, config)
  watchGauges(metrics, engine, deps)

  const stuck = metrics.counter({
    name: 'hypercode_sweep_faults_total',
    help: 'Tasks, missions and dead letters that a sweep or an operation should have changed and could not',
  })
  const known = new Set<string>()
  const onFault = (err: unknown, id: string): void => {
    stuck.inc({})
    // It comes back every second until somebody helps: one line about each is enough.
    if (known.size >= STUCK_MAX || known.has(id)) return
    known.add(id)
    logger.error({ err, id }, 'a sweep or an operation cannot change it')
  }
  const operations = createOperationTurns({ engine, plans, batchMax: config.OPERATION_BATCH_MAX, onFault })
  const brake = createBrake(config.AGENT_LEASE_MS, config.ORCHESTRATOR_SWEEP_MS)
  backbone.startReading()
  backbone.startRelaying()
  loops.start('sweep', {
    everyMs: config.ORCHESTRATOR_SWEEP_MS,
    backoffMaxMs: 2000,
    run: async () =>
      void (await sweepTurn({
        db: urgentDb,
        brake,
        cancelGraceMs: config.CANCEL_GRACE_MS,
        onSaved: engine.after,
        onFault,
      })),
  })
  loops.start('crews', {
    everyMs: config.ORCHESTRATOR_SWEEP_MS,
    backoffMaxMs: 2000,
    run: async () =>
      void (await subCrewTurn({
        db: urgentDb,
        plans,
        submit: async (order) => engine.submit(order),
        onSaved: engine.after,
        onFault,
      })),
  })
  loops.start('schedules', {
    everyMs: config.ORCHESTRATOR_SWEEP_MS,
    backoffMaxMs: 2000,
    run: async () => void (await schedules.turn()),
  })
  loops.start('operations', {
    everyMs: config.ORCHESTRATOR_SWEEP_MS,
    backoffMaxMs: 2000,
    run: async (signal) => void (await operations.turn(signal)),
  })
  if (config.MISSION_RETENTION_DAYS > 0) startRetention(config, deps, loops, onFault)
  loops.start('housekeeping', { everyMs: 60_000, run: async () => void (await deleteExpiredRevocations(db)) })

  return {
    app,
    engine,
    schedules,
    operations,
    async stop() {
      engine.desk.stop()
      await loops.stop()
      await engine.idle()
      await Promise.all([tail.stop(), bell.stop()])
    },
  }
}

function startRetention(
  { MISSION_RETENTION_DAYS: days }: OrchestratorConfig,
  { database, metrics, logger }: AppDeps,
  loops: Loops,
  onFault: (error: unknown, id: string) => void,
): void {
  const deleted = metrics.counter({
    name: 'hypercode_missions_deleted_total',
    help: 'Ended missions that were deleted when their retention was over',
  })
  const retention = createRetention({
    db: database.db,
    retentionMs: days * DAY_MS,
    onDeleted: (missions) => {
      deleted.inc({}, missions)
      logger.info({ missions, days }, 'old missions were deleted')
    },
    onFault,
  })
  loops.start('retention', {
    everyMs: RETENTION_EVERY_MS,
    run: async (signal) => void (await retention.turn(signal)),
  })
}

function watchGauges(metrics: Metrics, engine: Engine, deps: AppDeps): void {
  const gauge = (name: string, help: string, read: () => number): void =>
    void metrics.gauge({ name, help, collect: (one) => one.set({}, read()) })
  gauge('hypercode_claims_waiting', 'Long polls for work that wait here', () => engine.desk.waiting)
  gauge('hypercode_submits_waiting', 'Submits that wait for the next batch', () => engine.submits.waiting)
  gauge('hypercode_reports_waiting', 'Reports of agents that wait for the next batch', () => engine.reports.waiting)
  gauge(
    'hypercode_db_connections',
    'Connections to the pooler',
    () => deps.database.stats().total + deps.urgentDatabase.stats().total,
  )
  gauge(
    'hypercode_db_waiting',
    'Callers that wait for a connection',
    () => deps.database.stats().waiting + deps.urgentDatabase.stats().waiting,
  )
}
