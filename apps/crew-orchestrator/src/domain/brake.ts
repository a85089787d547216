/**
 * Holds back the expiry of leases when the silence may be ours: after a gap of the sweeper itself, or when too many leases would go at
 * once. It always lets go again: a hold lasts one lease time, two when the silence comes back meanwhile, and the first sweep after it
 * takes what has expired, however it came about; of very many, slowly for one lease time more.
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
/** Leases that all replicas together take in a second when more went silent than agents that die can explain. */
const GENTLE_PER_S = 5
/** Of few, one sweep takes so many meanwhile. */
const GENTLE_FEW = 2

interface Hold {
  sinceMs: number
  untilMs: number
}

/** The most leases that were out of time at once. What is missing from it since, somebody has taken: this replica or another one. */
interface Peak {
  expired: number
  atMs: number
}

/** `sweepMs` is the usual pause between two sweeps: where it is longer than half a lease, it is no gap. */
export function createBrake(leaseMs: number, sweepMs: number): Brake {
  const gapMs = Math.max(leaseMs / 2, 2 * sweepMs)
  let lastSweepMs: number | undefined
  let missed = false
  let hold: Hold | undefined
  let gentleUntilMs = 0
  let nextGentleMs = 0
  let peak: Peak = { expired: 0, atMs: 0 }

  const isHeld = (nowMs: number, silent: boolean): boolean => {
    if (silent) {
      const sinceMs = hold?.sinceMs ?? nowMs
      hold = { sinceMs, untilMs: Math.min(nowMs + leaseMs, sinceMs + 2 * leaseMs) }
    }
    if (hold !== undefined && nowMs >= hold.untilMs) hold = undefined
    return hold !== undefined
  }

  const gently = (nowMs: number, expired: number, isMany: boolean): number => {
    if (expired > peak.expired) peak = { expired, atMs: nowMs }
    const taken = peak.expired - expired
    const allowed = 1 + Math.floor(((nowMs - peak.atMs) / 1000) * GENTLE_PER_S) - taken
    return Math.min(expired, Math.max(allowed, isMany ? 0 : GENTLE_FEW))
  }

  return {
    allow(nowMs, expired, live) {
      const silent = missed || (lastSweepMs !== undefined && nowMs - lastSweepMs > gapMs)
      lastSweepMs = nowMs
      missed = false
      if (isHeld(nowMs, silent)) return 0
      const isMany = live >= SHARE_MIN_LIVE && expired / live > SHARE_MAX
      if (isMany && nowMs >= nextGentleMs) {
        gentleUntilMs = nowMs + leaseMs
        peak = { expired, atMs: nowMs }
        // What is still expired after that is really gone: the next lease time is a normal one, whatever the share.
        nextGentleMs = gentleUntilMs + leaseMs
      }
      return nowMs < gentleUntilMs ? gently(nowMs, expired, isMany) : expired
    },
    failed() {
      missed = true
    },
    get holding() {
      return hold !== undefined
    },
  }
}
