import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createBrake } from '../../src/domain/brake.ts'

const LEASE_MS = 15_000
const SWEEP_MS = 1000

describe('a silence that may be our own', () => {
  test('nothing is held while the sweeper turns in time', () => {
    const brake = createBrake(LEASE_MS, SWEEP_MS)
    for (let now = 0; now < 60_000; now += SWEEP_MS) {
      expect(brake.allow(now, 1, 100)).toBe(1)
      expect(brake.holding).toBe(false)
    }
  })

  test('after a pause of the sweeper expiry waits one lease time, and not longer', () => {
    const brake = createBrake(LEASE_MS, SWEEP_MS)
    brake.allow(0, 0, 100)
    const back = 20_000
    expect(brake.allow(back, 3, 100)).toBe(0)
    expect(brake.holding).toBe(true)
    expect(brake.allow(back + 7000, 3, 100)).toBe(0)
    expect(brake.allow(back + 14_000, 3, 100)).toBe(0)
    expect(brake.allow(back + LEASE_MS, 3, 100)).toBe(3)
    expect(brake.holding).toBe(false)
  })

  test('so it does after a turn that failed', () => {
    const brake = createBrake(LEASE_MS, SWEEP_MS)
    brake.allow(0, 0, 100)
    brake.failed()
    expect(brake.allow(1000, 3, 100)).toBe(0)
    for (let now = 2000; now < 16_000; now += SWEEP_MS) expect(brake.allow(now, 3, 100)).toBe(0)
    expect(brake.allow(16_000, 3, 100)).toBe(3)
  })
})

test('a silence that comes back extends the hold to two lease times at most', () => {
  const brake = createBrake(LEASE_MS, SWEEP_MS)
  brake.failed()
  expect(brake.allow(0, 3, 100)).toBe(0)
  for (let now = 1000; now < 2 * LEASE_MS; now += SWEEP_MS) {
    brake.failed()
    expect(brake.allow(now, 3, 100), `${now}`).toBe(0)
  }
  brake.failed()
  expect(brake.allow(2 * LEASE_MS, 3, 100)).toBe(3)
})

test('a rhythm of sweeps slower than half a lease is no silence', () => {
  const brake = createBrake(1000, 1000)
  for (let now = 0; now < 20_000; now += 1200) expect(brake.allow(now, 1, 100)).toBe(1)
})

describe('many leases at once', () => {
  test('are taken gently for one lease time, then all', () => {
    const brake = createBrake(LEASE_MS, SWEEP_MS)
    let expired = 100
    const taken: number[] = []
    for (let now = 0; now <= 16_000; now += SWEEP_MS) {
      const take = brake.allow(now, expired, 100)
      taken.push(take)
      expired -= take
    }
    expect(taken.slice(0, 15)).toEqual([1, ...Array.from({ length: 14 }, () => 5)])
    expect(taken.slice(15)).toEqual([29, 0])
  })

  test('are taken no faster by three replicas, nor while more and more run out', () => {
    const replicas = [0, 1, 2].map(() => createBrake(LEASE_MS, SWEEP_MS))
    let expired = 40
    let taken = 0
    for (let now = 0; now < LEASE_MS; now += SWEEP_MS / 2) {
      if (now <= 4000) expired += 10
      for (const [n, brake] of replicas.entries()) {
        const take = brake.allow(now + n * 100, expired, 200)
        expired -= take
        taken += take
      }
      // Each new peak is known to a replica only when it looks.
      expect(taken).toBeLessThanOrEqual(2 * replicas.length + (5 * (now + 200)) / 1000)
    }
    expect(taken).toBeGreaterThan(45)
  })

  test('a share up to the limit, and a handful of leases, prove nothing', () => {
    expect(createBrake(LEASE_MS, SWEEP_MS).allow(0, 15, 100)).toBe(15)
    expect(createBrake(LEASE_MS, SWEEP_MS).allow(0, 16, 100)).toBe(1)
    expect(createBrake(LEASE_MS, SWEEP_MS).allow(0, 9, 9)).toBe(9)
  })
})

test('it always lets go: whatever happens, after two lease times a sweep takes what has expired', () => {
  // Also for settings where every sweep comes later than half a lease, and when every turn but one fails.
  const setting = fc.record({
    leaseMs: fc.integer({ min: 1000, max: 60_000 }),
    sweepMs: fc.integer({ min: 100, max: 60_000 }),
    steps: fc.array(fc.record({ percent: fc.integer({ min: 50, max: 300 }), fails: fc.boolean(), all: fc.boolean() }), {
      minLength: 50,
      maxLength: 100,
    }),
  })
  fc.assert(
    fc.property(setting, ({ leaseMs, sweepMs, steps }) => {
      const brake = createBrake(leaseMs, sweepMs)
      let now = 0
      let lastTaken = 0
      for (const { percent, fails, all } of steps) {
        now += (sweepMs * percent) / 100
        if (fails) brake.failed()
        const taken = brake.allow(now, all ? 100 : 1, 100)
        expect(taken).toBeLessThanOrEqual(all ? 100 : 1)
        if (taken > 0) lastTaken = now
        expect(now - lastTaken).toBeLessThanOrEqual(2 * leaseMs + 6 * sweepMs)
      }
    }),
    { numRuns: 500 },
  )
})
