/**
 * The brake of the sweep: when the observer rather than the observed may have been away, nobody is declared dead for one lease time,
 * so that whoever lives can beat first.
 *
 * B1 It is set at the start, after a pause of this process, after Postgres was away, and when many instances would turn critical at once.
 * B2 It holds for one lease time, and at most twice in a row; then the sweep goes on, whatever it sees, until a calm sweep.
 */
export const BRAKE_REASONS = ['start', 'pause', 'database', 'storm'] as const
export type BrakeReason = (typeof BRAKE_REASONS)[number]

export interface BrakeState {
  /** Holds in a row; 0 after a calm sweep. */
  readonly holds: number
  /** Monotonic time until which it holds. */
  readonly untilMs: number
  readonly reason: BrakeReason
}

/** What a sweep sees before it acts. */
export interface Sight {
  /** Monotonic time of this process. */
  readonly nowMs: number
  /** Since the sweep before began; undefined for the first one. */
  readonly gapMs: number | undefined
  /** The sweep before failed because the database could not be reached. */
  readonly databaseWasAway: boolean
  /** Instances that are not critical yet. */
  readonly live: number
  /** How many of them would turn critical now. */
  readonly expired: number
}

export interface BrakeVerdict {
  readonly holds: boolean
  /** True when the hold begins with this sweep. */
  readonly began: boolean
  readonly state: BrakeState
}

export const RELEASED: BrakeState = { holds: 0, untilMs: -Infinity, reason: 'start' }

const HOLDS_MAX = 2
const STORM_SHARE = 0.3
const STORM_LIVE_MIN = 10

export function judgeBrake(state: BrakeState, sight: Sight, leaseMs: number): BrakeVerdict {
  if (sight.nowMs < state.untilMs) return { holds: true, began: false, state }
  const reason = reasonToHold(sight, leaseMs)
  if (reason === undefined) return { holds: false, began: false, state: { ...state, holds: 0 } }
  if (state.holds >= HOLDS_MAX) return { holds: false, began: false, state }
  const next = { holds: state.holds + 1, untilMs: sight.nowMs + leaseMs, reason }
  return { holds: true, began: true, state: next }
}

function reasonToHold(sight: Sight, leaseMs: number): BrakeReason | undefined {
  if (sight.gapMs === undefined) return 'start'
  if (sight.databaseWasAway) return 'database'
  if (sight.gapMs > leaseMs / 2) return 'pause'
  if (sight.live >= STORM_LIVE_MIN && sight.expired > sight.live * STORM_SHARE) return 'storm'
  return undefined
}
