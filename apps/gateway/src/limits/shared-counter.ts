/**
 * Counts in fixed windows, for all replicas together, without asking anybody on the way of a request.
 *
 * Each replica counts by itself and adds what it has counted to a sum in Redis as soon as that is a fiftieth of the limit; the answer tells
 * it what the others have counted. So a caller far from its limit costs Redis nothing, and one near it is held to the limit within
 * a few hundredths for each replica.
 *
 * K1 A hit is answered from memory, at once.
 * K2 Without Redis each replica holds its callers to the limit alone: never open, never closed.
 * K3 Memory is bounded: beyond `keysMax` callers in one window, the others share one count.
 */
import type { Redis } from 'ioredis'

export interface SharedCounter {
  /** Counts one hit; answers how many there were in this window, and for how long it still lasts. */
  hit(key: string, windowMs: number, max: number): { current: number; ttlMs: number }
}

export interface SharedCounterOptions {
  readonly redis: Redis
  /** Makes the Redis key of a caller and a window. */
  readonly keyOf: (caller: string, window: number) => string
  readonly onError: (error: unknown) => void
  readonly keysMax?: number
  readonly now?: () => number
}

interface Count {
  window: number
  /** The sum in Redis when it was last asked. */
  shared: number
  /** On its way into that sum. */
  sending: number
  own: number
  retryAt: number
}

const SHARE_AFTER = 1 / 50
const RETRY_MS = 250
const OTHERS = '*'

export function createSharedCounter(options: SharedCounterOptions): SharedCounter {
  const { redis, keyOf, onError, keysMax = 50_000, now = Date.now } = options
  const counts = new Map<string, Count>()
  let sweptWindow = 0

  const share = (caller: string, count: Count, windowMs: number): void => {
    const { window } = count
    const key = keyOf(caller, window)
    count.sending = count.own
    count.own = 0
    const added = Promise.all([redis.incrby(key, count.sending), redis.pexpire(key, 2 * windowMs)])
    added.then(
      ([sum]) => {
        if (count.window !== window) return
        count.shared = sum
        count.sending = 0
      },
      (error: unknown) => {
        onError(error)
        if (count.window !== window) return
        count.own += count.sending
        count.sending = 0
        count.retryAt = now() + RETRY_MS
      },
    )
  }

  const find = (caller: string, window: number): Count => {
    const known = counts.get(caller)
    if (known?.window === window) return known
    const fresh = { window, shared: 0, sending: 0, own: 0, retryAt: 0 }
    counts.set(caller, fresh)
    return fresh
  }

  return {
    hit(key, windowMs, max) {
      const nowMs = now()
      const window = Math.floor(nowMs / windowMs)
      if (window !== sweptWindow) {
        sweptWindow = window
        for (const [caller, count] of counts) if (count.window !== window) counts.delete(caller)
      }
      const caller = counts.has(key) || counts.size < keysMax ? key : OTHERS
      const count = find(caller, window)
      const ttlMs = (window + 1) * windowMs - nowMs
      const before = count.shared + count.sending + count.own
      // What is refused needs no counting.
      if (before >= max) return { current: max + 1, ttlMs }
      count.own += 1
      if (count.sending === 0 && count.own >= max * SHARE_AFTER && nowMs >= count.retryAt)
        share(caller, count, windowMs)
      return { current: before + 1, ttlMs }
    },
  }
}
