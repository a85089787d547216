/**
 * Holds back the expiry of leases when the silence may be ours: after a gap of the sweeper itself, or when too many leases would go at
 * once. It always lets go again: a hold lasts one lease time, then everything is taken, gently.
 */
export interface Brake {
  /** Decides for a sweep at `nowMs` of a monotonic clock that found `expired` of `live` leases out of time: how many it may take. */
  allow(nowMs: number, expired: number, live: number): number
  /** A sweep failed or could not reach Postgres. */
  failed(): void
  readonly holding: boolean
}

/** Fewer leases than this prove nothing about the share that went silent. */
const SHARE_MIN_LIVE = 10
const SHARE_MAX = 0.15
/** Leases that one sweep takes after a hold for mass expiry: with sweeps of a second, at most this many a second. */
const GENTLE = 5

export function createBrake(leaseMs: number): Brake {
  let lastSweepMs: number | undefined
  let missed = false
  let heldUntilMs = 0
  let gentleUntilMs = 0
  let nextGentleMs = 0
  let holding = false
  return {
    allow(nowMs, expired, live) {
      const gap = lastSweepMs !== undefined && nowMs - lastSweepMs > leaseMs / 2
      lastSweepMs = nowMs
      if (gap || missed) heldUntilMs = nowMs + leaseMs
      missed = false
      holding = nowMs < heldUntilMs
      if (holding) return 0
      if (live >= SHARE_MIN_LIVE && expired / live > SHARE_MAX && nowMs >= nextGentleMs) {
        gentleUntilMs = nowMs + leaseMs
        // What is still expired after that is really gone: the next lease time is a normal one, whatever the share.
        nextGentleMs = gentleUntilMs + leaseMs
      }
      return nowMs < gentleUntilMs ? Math.min(expired, GENTLE) : expired
    },
    failed() {
      missed = true
    },
    get holding() {
      return holding
    },
  }
}
