import { LIFECYCLE } from '@hypercode/contracts'
import type { Health, Lifecycle } from '@hypercode/contracts'
import {
  HEALTH_MOVES,
  LIFECYCLE_MOVES,
  MoveRefused,
  REGISTERED_AS,
  assertHealthMove,
  assertMove,
  canMove,
  canMoveHealth,
  canRegister,
  healthPath,
  isTerminal,
  nextStates,
  takesWork,
} from '@hypercode/base-agent/lifecycle'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const state = fc.constantFrom<Lifecycle>(...LIFECYCLE)
const HEALTHS: readonly Health[] = ['unknown', 'passing', 'warning', 'critical']
const health = fc.constantFrom<Health>(...HEALTHS)

describe('lifecycle', () => {
  test('the table knows every state, and only those', () => {
    expect(Object.keys(LIFECYCLE_MOVES).sort()).toEqual([...LIFECYCLE].sort())
    for (const next of Object.values(LIFECYCLE_MOVES).flat()) expect(LIFECYCLE).toContain(next)
  })

  test('the ways that the design draws are open', () => {
    const walk = (...way: Lifecycle[]): boolean =>
      way.every((to, index) => index === 0 || canMove(way[index - 1] ?? to, to))
    expect(walk('provisioning', 'warming', 'ready', 'hibernating', 'ready', 'draining', 'stopped')).toBe(true)
    expect(walk('ready', 'unhealthy', 'ready', 'unhealthy', 'provisioning')).toBe(true)
    expect(walk('unhealthy', 'reaped')).toBe(true)
  })

  test.each<[Lifecycle, Lifecycle]>([
    ['ready', 'stopped'],
    ['ready', 'ready'],
    ['stopped', 'ready'],
    ['reaped', 'ready'],
    ['quarantined', 'ready'],
    ['provisioning', 'ready'],
    ['draining', 'ready'],
  ])('%s to %s is refused', (from, to) => {
    expect(() => assertMove(from, to)).toThrow(MoveRefused)
  })

  test('assertMove and canMove say the same, and the refusal names the ways that are open', () => {
    fc.assert(
      fc.property(state, state, (from, to) => {
        if (canMove(from, to)) return assertMove(from, to) === undefined
        try {
          assertMove(from, to)
          return false
        } catch (error) {
          if (!(error instanceof MoveRefused)) throw error
          return error.from === from && error.to === to && nextStates(from).every((way) => error.message.includes(way))
        }
      }),
    )
  })

  test('a terminal state is never left, and every other one can come to an end', () => {
    const reachable = (from: Lifecycle): Set<Lifecycle> => {
      const seen = new Set<Lifecycle>()
      const look = (at: Lifecycle): void =>
        nextStates(at).forEach((next) => void (seen.has(next) || (seen.add(next), look(next))))
      look(from)
      return seen
    }
    fc.assert(
      fc.property(state, (from) => {
        const ways = reachable(from)
        return isTerminal(from) ? ways.size === 0 : [...ways].some(isTerminal)
      }),
    )
  })

  // Goal: however an instance moves, it takes work only between being ready and leaving it, and never again after its end.
  test('a random walk stays in the table', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 30 }), (turns) => {
        let at: Lifecycle = 'provisioning'
        for (const turn of turns) {
          const ways = nextStates(at)
          if (ways.length === 0) return !takesWork(at)
          const to: Lifecycle = ways[turn % ways.length] ?? at
          assertMove(at, to)
          at = to
        }
        return LIFECYCLE.includes(at)
      }),
    )
  })

  test('everybody may register again but who is quarantined', () => {
    expect(REGISTERED_AS).toBe('ready')
    expect(canRegister(undefined)).toBe(true)
    expect(LIFECYCLE.filter((one) => !canRegister(one))).toEqual(['quarantined'])
  })
})

describe('health', () => {
  test('one step at a time', () => {
    expect(Object.keys(HEALTH_MOVES).sort()).toEqual([...HEALTHS].sort())
    expect(canMoveHealth('passing', 'critical')).toBe(false)
    expect(() => assertHealthMove('passing', 'critical')).toThrow(MoveRefused)
    expect(() => assertHealthMove('warning', 'critical')).not.toThrow()
  })

  test('nothing becomes unknown again', () => {
    fc.assert(fc.property(health, (from) => !canMoveHealth(from, 'unknown')))
  })

  test('a path is made of moves and ends where it should', () => {
    fc.assert(
      fc.property(health, health, (from, to) => {
        const path = healthPath(from, to)
        path.forEach((next, index) => assertHealthMove(path[index - 1] ?? from, next))
        return from === to || to === 'unknown' ? path.length === 0 : path.at(-1) === to
      }),
    )
    expect(healthPath('critical', 'passing')).toEqual(['warning', 'passing'])
  })
})
