import type { Health } from '@hypercode/contracts'
import { MoveRefused } from './lifecycle.ts'

/** Whether the beats of an instance arrive: one step at a time, worse or better. */
export const HEALTH_MOVES = {
  /** Registered and not yet heard of again; its lease runs all the same. */
  unknown: ['passing', 'critical'],
  passing: ['warning'],
  warning: ['passing', 'critical'],
  critical: ['warning'],
} as const satisfies Readonly<Record<Health, readonly Health[]>>

export function canMoveHealth(from: Health, to: Health): boolean {
  return (HEALTH_MOVES[from] as readonly Health[]).includes(to)
}

/** @throws {MoveRefused} when the table does not know the move; staying is not a move */
export function assertHealthMove(from: Health, to: Health): void {
  if (!canMoveHealth(from, to)) throw new MoveRefused('health', from, to, HEALTH_MOVES[from])
}

/** The moves from one health to another, the last one included; none when it cannot be reached, as with `unknown`. */
export function healthPath(from: Health, to: Health): readonly Health[] {
  if (from === to) return []
  const seen = new Set<Health>([from])
  let ways: Health[][] = HEALTH_MOVES[from].map((next) => [next])
  while (ways.length > 0) {
    const found = ways.find((way) => way.at(-1) === to)
    if (found !== undefined) return found
    ways = ways.flatMap((way) => {
      const last = way.at(-1)
      if (last === undefined || seen.has(last)) return []
      seen.add(last)
      return HEALTH_MOVES[last].map((next) => [...way, next])
    })
  }
  return []
}
