/**
 * Everything that the orchestrator can do, for its routes and loops: lanes that batch by themselves, the desk where claims wait, and
 * what happens after each commit.
 */
import type { ClaimedTask, Crew, Mission } from '@hypercode/contracts'
import { createLane, isConnectionError } from '@hypercode/db'
import type { Db, Lane } from '@hypercode/db'
import { ringBell } from '@hypercode/events'
import type { Hint, Keys, OutboxRow, Publisher, QueueRef } from '@hypercode/events'
import { AppError } from '@hypercode/http'
import type { Redis } from 'ioredis'
import type { OrchestratorConfig } from '../config.ts'
import { NOTHING_HANDED } from '../domain/hand-over.ts'
import type { Ledger } from '../domain/ledger.ts'
import { findBlueprints } from '../store/blueprints.ts'
import type { BlueprintAsk } from '../store/blueprints.ts'
import { findCrews } from '../store/crews.ts'
import type { CrewRef } from '../store/crews.ts'
import { leaseTasks } from '../store/lease.ts'
import type { Leased } from '../store/lease.ts'
import { lookForWork } from '../store/look-for-work.ts'
import type { Look } from '../store/look-for-work.ts'
import { readMissions } from '../store/read-missions.ts'
import type { MissionRef } from '../store/read-missions.ts'
import type { ToldEvent } from '../store/commit-news.ts'
import type { Saved } from '../store/save-ledger.ts'
import type { NewMissionRow } from '../store/submit.ts'
import { createClaimDesk } from './claim-desk.ts'
import type { ClaimDesk } from './claim-desk.ts'
import { completeAttempts } from './complete.ts'
import type { Report, ReportResult } from './complete.ts'
import { completeHanded } from './complete-handed.ts'
import { createHandedTasks } from './handed-tasks.ts'
import { openLoan } from './loan.ts'
import { createMissionWaiters } from './mission-waiters.ts'
import type { MissionWaiters } from './mission-waiters.ts'
import { createOpenMissions } from './open-missions.ts'
import type { OpenMissions } from './open-missions.ts'
import { planMission, submitMissions } from './submit.ts'
import type { SubmitOrder, SubmitResult } from './submit.ts'

export interface EngineDeps {
  config: OrchestratorConfig
  /** For submits, claims and reads. */
  db: Db
  /** A pool of its own for what agents report: it never waits behind submits. */
  urgentDb: Db
  redis: Redis
  keys: Keys
  publisher: Publisher
  /** Writes a committed event to the log; left out where nobody reads that level. */
  onTold: ((event: ToldEvent) => void) | undefined
  /** Told of doorbells that could not be rung. */
  onBellFailure: (error: unknown) => void
}

export interface Engine {
  readonly db: Db
  readonly urgentDb: Db
  /** Plans a mission and stores it with the next batch. */
  submit(order: SubmitOrder): Promise<SubmitResult>
  readonly submits: Lane<NewMissionRow, SubmitResult>
  readonly reports: Lane<Report, ReportResult>
  readonly crews: Lane<CrewRef, Crew | undefined>
  readonly blueprints: Lane<BlueprintAsk, ReadonlyMap<string, number>>
  readonly missions: Lane<MissionRef, Mission | undefined>
  readonly desk: ClaimDesk
  readonly waiters: MissionWaiters
  readonly openMissions: OpenMissions
  /** What follows a commit: tell the streams, wake claims here and elsewhere, answer who waits for an end. Never throws. */
  readonly after: (saved: Saved) => void
  /** Hints that came over the event stream. */
  readonly heard: (hints: readonly Hint[]) => void
  /** Resolves when every lane is empty. */
  idle(): Promise<void>
}

/** Two batches in flight: while one commits the next is being written. More only split the batches. */
const LANES = 2
const RETRY_AFTER_MS = 1000
const NOTHING = (): boolean => false
/** Characters that go into one statement, and that wait for one: small missions and reports never come near either. */
const weighed = { of: ({ chars }: { chars: number }) => chars, maxBatch: 8 * 1024 ** 2, maxWaiting: 128 * 1024 ** 2 }

export function createEngine(deps: EngineDeps): Engine {
  const { config, db, urgentDb } = deps
  const full = (what: string) => (): Error =>
    new AppError('unavailable', { detail: `Too many ${what} wait.`, retryAfterMs: RETRY_AFTER_MS })
  const bounds = {
    maxBatch: config.LANE_BATCH_MAX,
    maxWaiting: config.LANE_WAITING_MAX,
    mayIsolate: (error: unknown) => !isConnectionError(error),
  }

  const publish = (outbox: OutboxRow | undefined): void => {
    if (outbox !== undefined) deps.publisher.publishSoon(outbox)
  }
  const ring = (queues: readonly QueueRef[]): void => {
    if (queues.length > 0) ringBell(deps.redis, deps.keys, queues).catch(deps.onBellFailure)
  }
  const after = (saved: Saved): void => {
    desk.wake(saved.queued)
    waiters.ended(saved.ended, saved.awaited)
    publish(saved.outbox)
    ring(saved.queued)
    if (deps.onTold !== undefined) for (const event of saved.told) deps.onTold(event)
  }

  const tellClaims = (tasks: readonly ClaimedTask[]): void => {
    for (const { tenantId, missionId, correlationId, taskId, attempt } of deps.onTold === undefined ? [] : tasks) {
      deps.onTold?.({ event: 'task.claimed', tenantId, missionId, correlationId, taskId, attempt })
    }
  }

  const handed = createHandedTasks()
  /** To hand over is to answer a claim with the little that is there: with work at every turn it makes small batches of large ones. */
  const isCalm = (): boolean => submits.inFlight + reports.inFlight <= 1 && submits.waiting + reports.waiting === 0

  const submits = createLane<NewMissionRow, SubmitResult>({
    ...bounds,
    weights: weighed,
    name: 'submit',
    lanes: LANES,
    onFull: full('submits'),
    run: async (missions) => {
      const loan = openLoan(desk, config.AGENT_LEASE_MS)
      try {
        const over = isCalm() ? loan.handOver(missions.map(({ ledger }) => ledger)) : NOTHING_HANDED
        const { results, saved, stored } = await submitMissions(db, missions, over)
        const isHanded = (missionId: string): boolean => saved.isHanded && stored.has(missionId)
        const claimed = loan.end(({ missionId }) => isHanded(missionId))
        for (const { mission, ledger } of missions) if (isHanded(mission.id)) handed.keep(ledger, over)
        after(saved)
        tellClaims(claimed)
        return results
      } finally {
        loan.end(NOTHING)
      }
    },
  })
  const submit = async (order: SubmitOrder): Promise<SubmitResult> => {
    // To plan costs time and memory, which a full lane has no use for.
    if (submits.isFull) throw full('submits')()
    return await submits.submit(planMission(order))
  }
  const reports = createLane<Report, ReportResult>({
    ...bounds,
    weights: weighed,
    name: 'complete',
    lanes: LANES,
    onFull: full('reports'),
    run: async (batch) => {
      const loan = openLoan(desk, config.AGENT_LEASE_MS)
      try {
        const handOver = (ledger: Ledger) => (isCalm() ? loan.handOver([ledger]) : NOTHING_HANDED)
        const { isAwaited } = waiters
        const known = handed.take(batch)
        const { results, saved } =
          (known && (await completeHanded(urgentDb, batch, known, isAwaited))) ??
          (await completeAttempts(urgentDb, batch, { isAwaited, handOver }))
        const claimed = loan.end(() => saved.isHanded)
        after(saved)
        tellClaims(claimed)
        return results
      } finally {
        loan.end(NOTHING)
      }
    },
  })
  const crews = createLane<CrewRef, Crew | undefined>({
    ...bounds,
    name: 'crews',
    lanes: 1,
    onFull: full('submits'),
    run: async (refs) => findCrews(db, refs),
  })
  const blueprints = createLane<BlueprintAsk, ReadonlyMap<string, number>>({
    ...bounds,
    weights: { of: ({ references }) => references.length, maxBatch: 5000, maxWaiting: 200_000 },
    name: 'blueprints',
    lanes: 1,
    onFull: full('submits'),
    run: async (asks) => findBlueprints(db, asks),
  })
  const missions = createLane<MissionRef, Mission | undefined>({
    ...bounds,
    name: 'missions',
    lanes: 1,
    onFull: full('reads'),
    run: async (refs) => readMissions(db, refs),
  })
  const desk = createClaimDesk({
    pollMs: config.CLAIM_POLL_MS,
    waitingMax: config.CLAIMS_WAITING_MAX,
    onFull: full('claims'),
    onTooMany: () =>
      new AppError('rate_limited', {
        detail: 'Too many claims of this instance wait.',
        fix: 'Keep one claim open and ask for all free slots with it.',
        retryAfterMs: RETRY_AFTER_MS,
      }),
    onFenced: fencedError,
    lease: async (tenantId, skills, asks, isSure) => {
      const look = isSure ? undefined : await lookForWork(db, tenantId, skills, asks)
      if (look?.mayLease === false) return nothingFor(look)
      const leased = await leaseTasks(db, tenantId, skills, asks, config.AGENT_LEASE_MS)
      publish(leased.outbox)
      tellClaims(leased.answers.flatMap((answer) => (answer.kind === 'tasks' ? answer.tasks : [])))
      return leased
    },
  })
  const waiters = createMissionWaiters({
    read: async (tenantId, id) => missions.submit({ tenantId, id }),
    pollMs: 1000,
  })

  return {
    db,
    urgentDb,
    submit,
    submits,
    reports,
    crews,
    blueprints,
    missions,
    desk,
    waiters,
    openMissions: createOpenMissions(db, config.MISSIONS_OPEN_MAX),
    after,
    heard: (hints) =>
      waiters.ended(hints.flatMap((hint) => (hint.kind === 'mission' && hint.ended === true ? [hint.missionId] : []))),
    idle: async () => {
      await Promise.all([submits.idle(), reports.idle(), deps.publisher.idle()])
    },
  }
}

const nothingFor = ({ live }: Look): Leased => ({
  answers: live.map((isLive) => (isLive ? { kind: 'tasks', tasks: [] } : { kind: 'fenced' })),
  outbox: undefined,
  contended: false,
})

/** The instance registered again, was stopped, or never registered. */
export const fencedError = (): AppError =>
  new AppError('fenced', {
    detail: 'This incarnation of the agent instance is not the registered one.',
    fix: 'Stop this process, or register again with POST /v1/agents.',
  })
