import type { Route } from '@hypercode/contracts'
import type { AnyOptions } from './call-options.ts'
import { pause, throwIfGivenUp } from './clock.ts'
import type { GiveUps } from './clock.ts'
import { ApiError, ConnectionError } from './errors.ts'

export interface RetryOptions {
  /** Tries after the first one, 4 by default; 0 turns retries off. */
  readonly maxRetries?: number
  /** The first delay is a random part of this, the next one of twice as much, and so on. 100 by default. */
  readonly initialDelayMs?: number
  /** Longest delay of our own, 5000 by default. */
  readonly maxDelayMs?: number
  /** A server that asks to wait longer gets no retry: the caller decides. 30000 by default. */
  readonly maxRetryAfterMs?: number
}

/**
 * POST routes that may be repeated as they stand: a token costs nothing, a claim is named by its claimId, completions and beats are
 * fenced and replayed.
 */
const REPEATABLE: ReadonlySet<string> = new Set([
  'issueToken',
  'claimTasks',
  'completeTasks',
  'heartbeatAgent',
  'heartbeatAlias',
])

/**
 * Runs `attempt` until it succeeds, repeating only what cannot happen twice. Full jitter; `Retry-After` of the server goes first.
 * Giving up ends the wait between two tries at once.
 */
export async function withRetries<T>(
  route: Route,
  options: AnyOptions,
  settings: RetryOptions,
  giveUps: GiveUps,
  attempt: () => Promise<T>,
): Promise<T> {
  const { maxRetries = 4, initialDelayMs = 100, maxDelayMs = 5000, maxRetryAfterMs = 30_000 } = settings
  const repeatable = isRepeatable(route, options)
  for (let retries = 0; ; retries++) {
    throwIfGivenUp(giveUps)
    try {
      return await attempt()
    } catch (error) {
      if (retries >= maxRetries || !worthRetry(error, repeatable, maxRetryAfterMs)) throw error
      const asked = error instanceof ApiError ? error.retryAfterMs : undefined
      await pause(delayMs(retries + 1, initialDelayMs, maxDelayMs, asked), giveUps)
    }
  }
}

/** Delay before retry number `attempt` (from 1): full jitter on top of what the server asked for. */
export function delayMs(attempt: number, initialMs: number, maxMs: number, askedMs = 0): number {
  return Math.round(askedMs + Math.random() * Math.min(maxMs, initialMs * 2 ** (attempt - 1)))
}

function isRepeatable(route: Route, options: AnyOptions): boolean {
  if (route.method === 'GET' || route.method === 'PUT' || route.method === 'DELETE') return true
  return route.method === 'POST' && (options.idempotencyKey !== undefined || REPEATABLE.has(route.operationId))
}

/** Statuses by which a server says that it has not begun. */
const NOT_DONE = new Set([429, 503])
/** Statuses that leave open what has happened. */
const UNKNOWN = new Set([500, 502, 504])

function worthRetry(error: unknown, repeatable: boolean, maxRetryAfterMs: number): boolean {
  if (error instanceof ConnectionError) return repeatable || !error.sent
  if (!(error instanceof ApiError)) return false
  if ((error.retryAfterMs ?? 0) > maxRetryAfterMs) return false
  return NOT_DONE.has(error.status) || (repeatable && UNKNOWN.has(error.status))
}
