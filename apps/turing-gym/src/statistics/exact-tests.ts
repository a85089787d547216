import jstat from 'jstat'
import { assertCounts } from './wilson.ts'

/** Passes of two groups that have nothing to do with each other. */
export interface TwoGroups {
  readonly before: { readonly passed: number; readonly tried: number }
  readonly after: { readonly passed: number; readonly tried: number }
}

/** Fisher's exact test, two-sided: the chance of a difference as unlikely as this one or more, were both rates the same. */
export function fisherExact(groups: TwoGroups): number {
  const chances = chancesOf(groups)
  return Math.min(1, sumUpTo(chances, chances.at(groups.before.passed - fewest(groups)) ?? 1))
}

/**
 * The smallest p that Fisher's test can give with this many passes and tries in all. A scenario that always passes has 1: it could not have
 * shown a difference, and need not be paid for when many are looked at.
 */
export function smallestFisher(groups: TwoGroups): number {
  const chances = chancesOf(groups)
  return Math.min(1, sumUpTo(chances, Math.min(...chances)))
}

/** McNemar's exact test, two-sided, of pairs that differ: `lost` passed before and fail now, `gained` the other way round. */
export function mcNemarExact(lost: number, gained: number): number {
  assertCounts(lost, lost + gained)
  if (lost === gained) return 1
  return Math.min(1, 2 * jstat.binomial.cdf(Math.min(lost, gained), lost + gained, 0.5))
}

/** Of every table with the same sums, from the fewest passes that the first group can have to the most. */
function chancesOf({ before, after }: TwoGroups): number[] {
  assertCounts(before.passed, before.tried)
  assertCounts(after.passed, after.tried)
  const passed = before.passed + after.passed
  const from = fewest({ before, after })
  const to = Math.min(passed, before.tried)
  return Array.from({ length: to - from + 1 }, (_, index) =>
    jstat.hypgeom.pdf(from + index, before.tried + after.tried, passed, before.tried),
  )
}

const fewest = ({ before, after }: TwoGroups): number => Math.max(0, before.passed + after.passed - after.tried)

/** Chances that are equal in truth differ by rounding, hence the margin. */
const sumUpTo = (chances: readonly number[], limit: number): number =>
  chances.reduce((sum, chance) => (chance <= limit * (1 + 1e-7) ? sum + chance : sum), 0)
