/** How a task is tried again. Intervals in milliseconds. */
export interface RetryPolicy {
  maxAttempts: number
  initialIntervalMs: number
  backoff: number
  maxIntervalMs: number
  /** Error codes that no further attempt can help. */
  nonRetryable: readonly string[]
  onExhausted: 'fail' | 'pause'
}

export const DEFAULT_RETRY: RetryPolicy = {
  maxAttempts: 3,
  initialIntervalMs: 1000,
  backoff: 2,
  maxIntervalMs: 60_000,
  nonRetryable: [],
  onExhausted: 'fail',
}

export interface Failure {
  code: string
  retryable: boolean
  /** What the agent, or the service that it called, asked for. */
  retryAfterMs?: number | undefined
}

export type RetryDecision = { kind: 'retry'; delayMs: number } | { kind: 'exhausted'; onExhausted: 'fail' | 'pause' }

/**
 * What follows a failed attempt. The delay has full jitter: uniform between nothing and the ceiling of this attempt, so that tasks that
 * failed together do not come back together. `random` is in [0, 1).
 */
export function decideRetry(
  policy: RetryPolicy,
  attempt: number,
  maxAttempts: number,
  failure: Failure,
  random: number,
): RetryDecision {
  const hopeless = !failure.retryable || policy.nonRetryable.includes(failure.code)
  if (hopeless || attempt >= maxAttempts) return { kind: 'exhausted', onExhausted: policy.onExhausted }
  return {
    kind: 'retry',
    delayMs: Math.max(failure.retryAfterMs ?? 0, Math.floor(random * ceilingMs(policy, attempt))),
  }
}

/** Longest wait before the attempt after `attempt`. */
export function ceilingMs(policy: RetryPolicy, attempt: number): number {
  return Math.min(policy.maxIntervalMs, policy.initialIntervalMs * policy.backoff ** (attempt - 1))
}
