import { newId } from '@hypercode/contracts'
import { createClient } from '@hypercode/client'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Attempt } from '../src/attempt.ts'
import { Lease, marginOf, monotonicMs } from '../src/heartbeat/lease.ts'
import { createHttpPort } from '../src/http-port.ts'

describe('a lease', () => {
  test('counts from the moment of sending and is over before the platform says so', () => {
    const lease = new Lease(2_000)
    expect(lease.alive).toBe(false)
    lease.renew(monotonicMs(), 15_000)
    expect(lease.alive).toBe(true)
    expect(lease.remainingMs).toBeLessThanOrEqual(13_000)
    lease.renew(monotonicMs() - 13_001, 15_000)
    expect(lease.alive).toBe(false)
  })

  test('stays over', () => {
    const lost = new Lease(0)
    lost.renew(monotonicMs(), 1_000)
    lost.end('lost')
    lost.renew(monotonicMs(), 1_000)
    expect([lost.alive, lost.state]).toEqual([false, 'lost'])
    lost.end('fenced')
    expect(lost.state).toBe('fenced')
    lost.end('lost')
    expect(lost.state).toBe('fenced')
  })

  test('is the same one in shared memory, and numbers its beats without a repeat', () => {
    const lease = new Lease(0)
    const other = new Lease(0, lease.memory)
    lease.renew(monotonicMs(), 1_000)
    expect(other.alive).toBe(true)
    expect([lease.nextSeq(), other.nextSeq(), lease.nextSeq()]).toEqual([1, 2, 3])
    other.end('lost')
    expect(lease.alive).toBe(false)
  })

  // Goal: whatever is renewed or ended in which order, an ended lease never counts again.
  test('never comes back to life', () => {
    const act = fc.oneof(
      fc.record({ kind: fc.constant('renew' as const), leaseMs: fc.integer({ min: -10_000, max: 10_000 }) }),
      fc.record({ kind: fc.constantFrom('lost' as const, 'fenced' as const) }),
    )
    fc.assert(
      fc.property(fc.array(act), (acts) => {
        const lease = new Lease(marginOf(15_000))
        let over = false
        for (const one of acts) {
          if (one.kind === 'renew') lease.renew(monotonicMs(), one.leaseMs)
          else {
            lease.end(one.kind)
            over = true
          }
          if (over && lease.alive) return false
        }
        return true
      }),
    )
  })
})

test('an attempt whose lease is over by its own clock begins nothing, even before anybody has noticed', () => {
  const lease = new Lease(0)
  const attempt = new Attempt({
    taskId: newId(),
    missionId: newId(),
    tenantId: newId(),
    crew: 'crew',
    key: 'task',
    skill: 'work',
    attempt: 1,
    maxAttempts: 1,
    input: {},
    leaseMs: 1_000,
    correlationId: newId(),
    steps: [],
  })
  const client = createClient({ baseUrl: 'http://127.0.0.1:9' })
  const port = createHttpPort({ client, attempt, incarnation: 1, lease, onFenced: () => undefined })
  lease.renew(monotonicMs(), 1_000)
  expect(() => port.assertLive()).not.toThrow()
  lease.renew(monotonicMs() - 1_001, 1_000)
  expect(() => port.assertLive()).toThrow('lease_lost')
  expect([attempt.stopReason, attempt.dead.aborted]).toEqual(['lease_lost', true])
})
