import jstat from 'jstat'

export interface Interval {
  readonly low: number
  readonly high: number
}

/** Of the intervals that are shown where no other confidence is declared. */
export const CONFIDENCE = 0.95

/**
 * Wilson's score interval of a pass rate: two-sided, so that (1 - confidence) / 2 lies on each side. All of 0 to 1 when nothing was tried.
 *
 * @throws {RangeError} for counts that cannot be, or a confidence that is not between 0 and 1
 */
export function wilsonInterval(passed: number, tried: number, confidence: number = CONFIDENCE): Interval {
  assertCounts(passed, tried)
  if (!(confidence > 0 && confidence < 1)) throw new RangeError(`a confidence of ${confidence} is not between 0 and 1`)
  if (tried === 0) return { low: 0, high: 1 }
  const z = jstat.normal.inv((1 + confidence) / 2, 0, 1)
  const rate = passed / tried
  const weight = 1 + z ** 2 / tried
  const middle = (rate + z ** 2 / (2 * tried)) / weight
  const reach = (z / weight) * Math.sqrt((rate * (1 - rate)) / tried + z ** 2 / (4 * tried ** 2))
  // At the ends the formula gives 0 and 1, and rounding gives a little less or more.
  return {
    low: passed === 0 ? 0 : Math.max(0, middle - reach),
    high: passed === tried ? 1 : Math.min(1, middle + reach),
  }
}

/** @throws {RangeError} unless both are whole and 0 ≤ passed ≤ tried */
export function assertCounts(passed: number, tried: number): void {
  if (Number.isSafeInteger(passed) && Number.isSafeInteger(tried) && passed >= 0 && passed <= tried) return
  throw new RangeError(`${passed} of ${tried} is no count`)
}
