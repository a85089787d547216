/**
 * What the silence of an instance means, and what a beat means. Pure: times come from the database clock, moves from the one table
 * of lifecycle and health that all services share.
 *
 * H1 A sweep only makes things worse, a beat only better.
 * H2 Every step of health is a step of the table; a jump is walked, so that each move can be told as one event.
 * H3 While the brake holds, nothing turns critical and nothing is reaped.
 * H4 What has left for good (stopped, reaped, failed) is never touched again.
 */
import { canMove, healthPath, isTerminal } from '@hypercode/base-agent/lifecycle'
import type { Health, Lifecycle } from '@hypercode/contracts'

/** An instance as a sweep sees it. */
export interface Vitals {
  readonly health: Health
  readonly lifecycle: Lifecycle
  /** Since its last beat, or since it registered when it has not beaten yet. */
  readonly silentMs: number
  /** Negative once the lease has run out. */
  readonly leaseLeftMs: number
}

export interface SilenceLimits {
  /** Longer than this without a beat is one beat missed. */
  readonly missedAfterMs: number
  /** An instance whose lease has been over for so long is removed. */
  readonly deregisterAfterMs: number
}

export interface Move {
  /** Steps of health, in order; the last one is where it ends. */
  readonly health: readonly Health[]
  readonly lifecycle?: Lifecycle
  readonly reason: string
}

/** A beat is on time up to three quarters of an interval late. */
const LATE_BEATS = 1.75

export const missedAfterMs = (heartbeatMs: number): number => heartbeatMs * LATE_BEATS

/** Where the silence of an instance leads; undefined when it stays as it is. */
export function judgeSilence(vitals: Vitals, limits: SilenceLimits, brakeHolds: boolean): Move | undefined {
  const { health, lifecycle, silentMs, leaseLeftMs } = vitals
  if (isTerminal(lifecycle)) return undefined
  if (leaseLeftMs <= 0 && !brakeHolds) {
    if (health !== 'critical') {
      return {
        health: healthPath(health, 'critical'),
        ...(canMove(lifecycle, 'unhealthy') && { lifecycle: 'unhealthy' }),
        reason: `no beat for ${seconds(silentMs)}, the lease has run out`,
      }
    }
    if (-leaseLeftMs >= limits.deregisterAfterMs && canMove(lifecycle, 'reaped')) {
      return { health: [], lifecycle: 'reaped', reason: `no beat for ${seconds(silentMs)}` }
    }
  }
  if (health === 'passing' && silentMs > limits.missedAfterMs) {
    return { health: ['warning'], reason: `no beat for ${seconds(silentMs)}` }
  }
  return undefined
}

/** Where a beat leads; undefined when all is well already. */
export function judgeBeat({ health, lifecycle }: Pick<Vitals, 'health' | 'lifecycle'>): Move | undefined {
  if (isTerminal(lifecycle)) return undefined
  const steps = healthPath(health, 'passing')
  const back = lifecycle === 'unhealthy'
  if (steps.length === 0 && !back) return undefined
  return {
    health: steps,
    ...(back && { lifecycle: 'ready' }),
    reason: health === 'unknown' ? 'its first beat' : 'it beats again',
  }
}

/** How well off an agent is: as its best live instance. */
export const HEALTH_BEST_FIRST = ['passing', 'warning', 'unknown', 'critical'] as const satisfies readonly Health[]

const seconds = (ms: number): string => `${(Math.max(0, ms) / 1000).toFixed(1)} s`
