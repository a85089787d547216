/**
 * One sweep after another: who fell silent, by the database clock. Every replica sweeps; rows that another one has in hand are passed
 * over. State is the brake alone, so a replica can come and go at any time.
 */
import { isConnectionError } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import type { Logger } from '@hypercode/telemetry'
import { BRAKE_REASONS, RELEASED, judgeBrake } from '../domain/brake.ts'
import type { BrakeState } from '../domain/brake.ts'
import { HEALTH_BEST_FIRST } from '../domain/health.ts'
import type { SilenceLimits } from '../domain/health.ts'
import type { RegistryMetrics } from '../metrics.ts'
import type { Publish } from '@hypercode/events'
import type { Moved } from '../store/moves.ts'
import { SWEEP_LIMIT, moveSilent, takeCensus } from '../store/silences.ts'
import type { Census } from '../store/silences.ts'

export interface SweeperOptions {
  readonly db: Db
  readonly publish: Publish
  readonly log: Logger
  readonly metrics: RegistryMetrics
  readonly leaseMs: number
  readonly limits: SilenceLimits
  /** Monotonic milliseconds; tests bring their own. */
  readonly clock?: () => number
}

export interface Sweeper {
  /** One sweep; rejects when the database fails it. Ends early, between two transactions, when the signal aborts. */
  turn(signal?: AbortSignal): Promise<void>
  readonly brakeHolds: boolean
}

/** A sweep goes on while its transactions are full, but not for ever: the next turn comes in a second. */
const TRANSACTIONS_MAX = 10

export function createSweeper(options: SweeperOptions): Sweeper {
  const { db, publish, log, metrics, leaseMs, limits, clock = () => performance.now() } = options
  let brake: BrakeState = RELEASED
  let brakeHolds = false
  let beganMs: number | undefined
  let databaseWasAway = false

  const look = (census: readonly Census[], nowMs: number): void => {
    const notCritical = census.filter((row) => row.health !== 'critical')
    const live = sum(notCritical.map((row) => row.live))
    const expired = sum(notCritical.map((row) => row.expired))
    const gapMs = beganMs === undefined ? undefined : nowMs - beganMs
    const verdict = judgeBrake(brake, { nowMs, gapMs, databaseWasAway, live, expired }, leaseMs)
    if (verdict.began) {
      const { reason, holds } = verdict.state
      metrics.brakeHolds.inc({ reason })
      log.warn({ reason, holds, live, expired, gapMs, holdMs: leaseMs }, 'brake set: nobody is declared critical')
    } else if (brakeHolds && !verdict.holds) log.info({ live, expired }, 'brake released')
    brake = verdict.state
    brakeHolds = verdict.holds
    for (const reason of BRAKE_REASONS) metrics.brake.set({ reason }, brakeHolds && brake.reason === reason ? 1 : 0)
    for (const health of HEALTH_BEST_FIRST) {
      metrics.instances.set({ health }, census.find((row) => row.health === health)?.live ?? 0)
    }
  }

  const sweep = async (nowMs: number, signal: AbortSignal | undefined): Promise<void> => {
    const census = await takeCensus(db, limits)
    look(census, nowMs)
    if (sum(census.map((row) => row.due)) === 0) return
    for (let round = 0; round < TRANSACTIONS_MAX && signal?.aborted !== true; round += 1) {
      const { found, moved } = await moveSilent(db, publish, limits, brakeHolds)
      tell(moved)
      if (found < SWEEP_LIMIT) return
    }
  }

  const tell = (moved: readonly Moved[]): void => {
    for (const { instance, move } of moved) {
      for (const to of [...move.health, ...(move.lifecycle === 'reaped' ? ['reaped'] : [])]) metrics.moves.inc({ to })
      const { id: instanceId, agentId, tenantId, health: from } = instance
      const to = move.lifecycle === 'reaped' ? 'reaped' : move.health.at(-1)
      log.info({ tenantId, agentId, instanceId, from, to, reason: move.reason }, 'instance fell silent')
    }
  }

  return {
    get brakeHolds() {
      return brakeHolds
    },
    async turn(signal) {
      const nowMs = clock()
      try {
        await sweep(nowMs, signal)
        databaseWasAway = false
      } catch (error) {
        if (isConnectionError(error)) databaseWasAway = true
        throw error
      } finally {
        beganMs = nowMs
        metrics.sweepSeconds.observe({}, (clock() - nowMs) / 1000)
      }
    },
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0)
