import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RELEASED, judgeBrake } from '../src/domain/brake.ts'
import type { BrakeState, Sight } from '../src/domain/brake.ts'

const LEASE_MS = 15_000
const calm: Sight = { nowMs: 0, gapMs: 1000, databaseWasAway: false, live: 50, expired: 0 }

/** Judges a series of sights, a second apart unless they say otherwise. */
function run(
  sights: readonly Partial<Sight>[],
  from: BrakeState = RELEASED,
): { holds: boolean; began: boolean; atMs: number }[] {
  let state = from
  let atMs = 0
  return sights.map((sight) => {
    atMs = sight.nowMs ?? atMs + (sight.gapMs ?? 1000)
    const verdict = judgeBrake(state, { ...calm, ...sight, nowMs: atMs }, LEASE_MS)
    state = verdict.state
    return { holds: verdict.holds, began: verdict.began, atMs }
  })
}

describe('when the brake is set', () => {
  test.each<[string, Partial<Sight>, boolean]>([
    ['an ordinary sweep', {}, false],
    ['the first sweep', { gapMs: undefined }, true],
    ['a pause of half a lease', { gapMs: 7500 }, false],
    ['a pause longer than half a lease', { gapMs: 7501 }, true],
    ['a sweep after the database was away', { databaseWasAway: true }, true],
    ['30 % of 10 at once', { live: 10, expired: 3 }, false],
    ['more than 30 % of 10 at once', { live: 10, expired: 4 }, true],
    ['all of 9: too few to tell', { live: 9, expired: 9 }, false],
    ['16 of 50', { live: 50, expired: 16 }, true],
    ['15 of 50', { live: 50, expired: 15 }, false],
  ])('%s', (_, sight, holds) => {
    expect(run([sight])[0]).toMatchObject({ holds, began: holds })
  })
})

describe('when it is released', () => {
  test('it holds for one lease time', () => {
    const sights = run([{ gapMs: 60_000 }, ...Array.from({ length: 20 }, () => ({}))])
    const held = sights.filter((sight) => sight.holds)
    expect(held.length).toBe(15)
    expect(sights.filter((sight) => sight.began).length).toBe(1)
  })

  test('a storm that does not end holds it twice, and then the sweep goes on', () => {
    const storm = { live: 50, expired: 50 }
    const sights = run(Array.from({ length: 40 }, () => storm))
    expect(sights.filter((sight) => sight.began).length).toBe(2)
    expect(sights.findIndex((sight) => !sight.holds)).toBe(30)
    expect(sights.slice(30).every((sight) => !sight.holds)).toBe(true)
  })

  test('after a calm sweep it may be set twice again', () => {
    const storm = { live: 50, expired: 50 }
    const first = run(Array.from({ length: 31 }, () => storm))
    expect(first.at(-1)?.holds).toBe(false)
    const again = run([...Array.from({ length: 31 }, () => storm), {}, storm])
    expect(again.at(-1)).toMatchObject({ holds: true, began: true })
  })

  // B2: whatever happens, it ends by itself.
  test('it never holds for longer than two lease times without a sweep that goes on', () => {
    const sight = fc.record({
      gapMs: fc.integer({ min: 1, max: 20_000 }),
      databaseWasAway: fc.boolean(),
      live: fc.integer({ min: 0, max: 100 }),
      expired: fc.integer({ min: 0, max: 100 }),
    })
    fc.assert(
      fc.property(fc.array(sight, { minLength: 1, maxLength: 200 }), (sights) => {
        let holdsInRow = 0
        for (const { holds, began } of run(sights)) {
          if (began) holdsInRow += 1
          if (!holds) holdsInRow = 0
          expect(holdsInRow).toBeLessThanOrEqual(2)
        }
      }),
    )
  })
})
