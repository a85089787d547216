import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DEFAULT_RETRY, ceilingMs, decideRetry } from '../../src/domain/retry.ts'
import type { RetryPolicy } from '../../src/domain/retry.ts'

const policyOf = (changes: Partial<RetryPolicy> = {}): RetryPolicy => ({ ...DEFAULT_RETRY, ...changes })
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const anyPolicy = fc.record<RetryPolicy>({
  maxAttempts: fc.integer({ min: 1, max: 100 }),
  initialIntervalMs: fc.integer({ min: 1, max: 1e9 }),
  backoff: fc.double({ min: 1, max: 100, noNaN: true }),
  maxIntervalMs: fc.integer({ min: 1, max: 1e9 }),
  nonRetryable: fc.constant([]),
  onExhausted: fc.constantFrom('fail', 'pause'),
})

describe('the delay', () => {
  test('has full jitter: from nothing up to the ceiling of the attempt, and never more', () => {
    fc.assert(
      fc.property(anyPolicy, fc.integer({ min: 1, max: 99 }), random, (policy, attempt, dice) => {
        const decision = decideRetry(policy, attempt, 100, { code: 'boom', retryable: true }, dice)
        if (decision.kind !== 'retry') throw new Error('attempts are left')
        expect(Number.isSafeInteger(decision.delayMs)).toBe(true)
        expect(decision.delayMs).toBeGreaterThanOrEqual(0)
        expect(decision.delayMs).toBeLessThanOrEqual(ceilingMs(policy, attempt))
        expect(ceilingMs(policy, attempt)).toBeLessThanOrEqual(policy.maxIntervalMs)
      }),
    )
  })

  test('spreads over the whole of it', () => {
    const policy = policyOf({ initialIntervalMs: 1000, backoff: 2 })
    const at = (dice: number): unknown => decideRetry(policy, 3, 9, { code: 'boom', retryable: true }, dice)
    expect(at(0)).toEqual({ kind: 'retry', delayMs: 0 })
    expect(at(0.5)).toEqual({ kind: 'retry', delayMs: 2000 })
    expect(at(0.999_999)).toEqual({ kind: 'retry', delayMs: 3999 })
  })

  test('the ceiling grows by the back-off up to its maximum', () => {
    const policy = policyOf({ initialIntervalMs: 100, backoff: 3, maxIntervalMs: 2000 })
    expect([1, 2, 3, 4, 99].map((attempt) => ceilingMs(policy, attempt))).toEqual([100, 300, 900, 2000, 2000])
  })

  test('is never shorter than the agent asked for', () => {
    fc.assert(
      fc.property(anyPolicy, fc.integer({ min: 0, max: 86_400_000 }), random, (policy, retryAfterMs, dice) => {
        const decision = decideRetry(policy, 1, 2, { code: 'boom', retryable: true, retryAfterMs }, dice)
        expect(decision.kind === 'retry' && decision.delayMs).toBeGreaterThanOrEqual(retryAfterMs)
      }),
    )
  })
})

describe('the end of retries', () => {
  test('comes exactly at the last attempt', () => {
    for (let maxAttempts = 1; maxAttempts <= 100; maxAttempts += 1) {
      for (const attempt of [1, maxAttempts - 1, maxAttempts, maxAttempts + 1].filter((one) => one >= 1)) {
        const decision = decideRetry(policyOf(), attempt, maxAttempts, { code: 'boom', retryable: true }, 0.5)
        expect(decision.kind).toBe(attempt < maxAttempts ? 'retry' : 'exhausted')
      }
    }
  })

  test('comes at once for what no further attempt can help', () => {
    const policy = policyOf({ nonRetryable: ['schema_invalid'], onExhausted: 'pause' })
    expect(decideRetry(policy, 1, 9, { code: 'schema_invalid', retryable: true }, 0)).toEqual({
      kind: 'exhausted',
      onExhausted: 'pause',
    })
    expect(decideRetry(policy, 1, 9, { code: 'other', retryable: false }, 0).kind).toBe('exhausted')
    expect(decideRetry(policy, 1, 9, { code: 'other', retryable: true }, 0).kind).toBe('retry')
  })
})
