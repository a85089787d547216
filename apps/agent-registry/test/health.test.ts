import { LIFECYCLE_MOVES, canMove, canMoveHealth, isTerminal } from '@hypercode/base-agent/lifecycle'
import { LIFECYCLE } from '@hypercode/contracts'
import type { Health } from '@hypercode/contracts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HEALTH_BEST_FIRST, judgeBeat, judgeSilence, missedAfterMs } from '../src/domain/health.ts'
import type { Vitals } from '../src/domain/health.ts'
import { canDrain, canStop } from '../src/domain/leaving.ts'

const HEARTBEAT_MS = 5000
const LEASE_MS = 15_000
const limits = { missedAfterMs: missedAfterMs(HEARTBEAT_MS), deregisterAfterMs: 3_600_000 }
const WORSE: Record<Health, number> = { passing: 0, unknown: 1, warning: 1, critical: 2 }

const vitals = fc.record({
  health: fc.constantFrom(...HEALTH_BEST_FIRST),
  lifecycle: fc.constantFrom(...LIFECYCLE),
  silentMs: fc.oneof(fc.integer({ min: 0, max: 30_000 }), fc.integer({ min: 0, max: 10_000_000 })),
  leaseLeftMs: fc.oneof(fc.integer({ min: -30_000, max: 15_000 }), fc.integer({ min: -10_000_000, max: 15_000 })),
})

/** Silent for so long since a beat that renewed the lease. */
const silentFor = (silentMs: number, rest: Partial<Vitals> = {}): Vitals => ({
  health: 'passing',
  lifecycle: 'ready',
  silentMs,
  leaseLeftMs: LEASE_MS - silentMs,
  ...rest,
})

describe('what silence means', () => {
  test.each([
    [0, undefined],
    [5000, undefined],
    [8750, undefined],
    [8751, 'warning'],
    [14_999, 'warning'],
    [15_000, 'critical'],
    [3_614_999, 'critical'],
  ])('silent for %i ms leads from passing to %s', (ms, to) => {
    expect(judgeSilence(silentFor(ms), limits, false)?.health.at(-1)).toBe(to)
  })

  test('what has warned stays in warning until its lease runs out', () => {
    expect(judgeSilence(silentFor(12_000, { health: 'warning' }), limits, false)).toBeUndefined()
    expect(judgeSilence(silentFor(15_000, { health: 'warning' }), limits, false)).toMatchObject({
      health: ['critical'],
      lifecycle: 'unhealthy',
    })
  })

  test('what never beat stays unknown until its lease runs out', () => {
    expect(judgeSilence(silentFor(14_000, { health: 'unknown' }), limits, false)).toBeUndefined()
    expect(judgeSilence(silentFor(15_000, { health: 'unknown' }), limits, false)?.health).toEqual(['critical'])
  })

  test('what is critical is reaped when its lease has been over for long enough, and not before', () => {
    const critical = { health: 'critical', lifecycle: 'unhealthy' } as const
    expect(judgeSilence(silentFor(3_614_999, critical), limits, false)).toBeUndefined()
    expect(judgeSilence(silentFor(3_615_000, critical), limits, false)).toMatchObject({
      health: [],
      lifecycle: 'reaped',
    })
    expect(judgeSilence(silentFor(3_615_000, critical), limits, true)).toBeUndefined()
  })

  test('a draining instance keeps draining, turns critical, and is reaped in the end', () => {
    const draining = { lifecycle: 'draining' } as const
    expect(judgeSilence(silentFor(15_000, draining), limits, false)).toEqual({
      health: ['warning', 'critical'],
      reason: 'no beat for 15.0 s, the lease has run out',
    })
    const critical = silentFor(4_000_000, { ...draining, health: 'critical' })
    expect(judgeSilence(critical, limits, false)?.lifecycle).toBe('reaped')
  })

  // H1, H2, H4: whatever the figures, every step is one of the table, and it leads downhill.
  test('every move is a walk through the table, and only makes things worse', () => {
    fc.assert(
      fc.property(vitals, fc.boolean(), (standing, brakeHolds) => {
        const move = judgeSilence(standing, limits, brakeHolds)
        if (move === undefined) return
        expect(isTerminal(standing.lifecycle)).toBe(false)
        let at = standing.health
        for (const to of move.health) {
          expect(canMoveHealth(at, to)).toBe(true)
          expect(WORSE[to]).toBeGreaterThan(WORSE[at])
          at = to
        }
        if (move.lifecycle !== undefined) expect(canMove(standing.lifecycle, move.lifecycle)).toBe(true)
        expect(move.health.length > 0 || move.lifecycle !== undefined).toBe(true)
      }),
    )
  })

  // H3
  test('while the brake holds nothing turns critical and nothing is reaped', () => {
    fc.assert(
      fc.property(vitals, (standing) => {
        const move = judgeSilence(standing, limits, true)
        expect(move?.health ?? []).not.toContain('critical')
        expect(move?.lifecycle).toBeUndefined()
      }),
    )
  })

  test('judged again at the same moment, nothing moves twice', () => {
    fc.assert(
      fc.property(vitals, (standing) => {
        const move = judgeSilence(standing, limits, false)
        if (move === undefined) return
        const after = {
          ...standing,
          health: move.health.at(-1) ?? standing.health,
          lifecycle: move.lifecycle ?? standing.lifecycle,
        }
        const next = judgeSilence(after, limits, false)
        // Only the way from critical to reaped may follow, since both times have passed.
        expect(next === undefined || next.lifecycle === 'reaped').toBe(true)
      }),
    )
  })
})

describe('what a beat means', () => {
  test.each<[Health, readonly Health[]]>([
    ['unknown', ['passing']],
    ['warning', ['passing']],
    ['critical', ['warning', 'passing']],
  ])('from %s it leads over %j', (health, steps) => {
    expect(judgeBeat({ health, lifecycle: 'ready' })?.health).toEqual(steps)
  })

  test('an unhealthy instance is ready again, a draining one drains on', () => {
    expect(judgeBeat({ health: 'critical', lifecycle: 'unhealthy' })).toMatchObject({ lifecycle: 'ready' })
    expect(judgeBeat({ health: 'critical', lifecycle: 'draining' })).toEqual({
      health: ['warning', 'passing'],
      reason: 'it beats again',
    })
  })

  test('it always ends in passing, by the table, and once', () => {
    fc.assert(
      fc.property(vitals, (standing) => {
        const move = judgeBeat(standing)
        if (isTerminal(standing.lifecycle)) {
          expect(move).toBeUndefined()
          return
        }
        const health = move?.health.at(-1) ?? standing.health
        expect(health).toBe('passing')
        const lifecycle = move?.lifecycle ?? standing.lifecycle
        if (lifecycle !== standing.lifecycle) expect(canMove(standing.lifecycle, lifecycle)).toBe(true)
        expect(judgeBeat({ health, lifecycle })).toBeUndefined()
      }),
    )
  })
})

describe('leaving', () => {
  test('what can be drained and stopped follows from the table', () => {
    expect(LIFECYCLE.filter(canDrain)).toEqual(['warming', 'ready', 'hibernating', 'unhealthy', 'quarantined'])
    expect(LIFECYCLE.filter(canStop)).toEqual([
      'warming',
      'ready',
      'hibernating',
      'unhealthy',
      'draining',
      'quarantined',
    ])
    for (const lifecycle of LIFECYCLE.filter(canDrain)) expect(LIFECYCLE_MOVES[lifecycle]).toContain('draining')
  })
})
