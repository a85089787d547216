import { assertCounts } from './wilson.ts'

/** How far the curves over k go. */
export const K_MAX = 10

/** Chance that at least one of k tries passes, estimated without bias from `passed` of `tried`: 1 - C(failed, k) / C(tried, k). */
export function passAtK(passed: number, tried: number, k: number): number {
  return 1 - chanceOfAll(tried - passed, tried, k)
}

/** Chance that all of k tries pass (pass^k), estimated without bias: C(passed, k) / C(tried, k). */
export function passHatK(passed: number, tried: number, k: number): number {
  return chanceOfAll(passed, tried, k)
}

/** Both for k = 1, 2, … as far as there are tries, at most `K_MAX`. */
export function passCurves(passed: number, tried: number): { passAtK: number[]; passHatK: number[] } {
  const ks = Array.from({ length: Math.min(tried, K_MAX) }, (_, index) => index + 1)
  return { passAtK: ks.map((k) => passAtK(passed, tried, k)), passHatK: ks.map((k) => passHatK(passed, tried, k)) }
}

/** C(of, k) / C(all, k), as a product that stays between 0 and 1 however large the binomials are. */
function chanceOfAll(of: number, all: number, k: number): number {
  assertCounts(of, all)
  if (!Number.isSafeInteger(k) || k < 1 || k > all)
    throw new RangeError(`k = ${k} needs as many tries, there are ${all}`)
  let chance = 1
  for (let drawn = 0; drawn < k && chance > 0; drawn += 1) chance *= Math.max(0, of - drawn) / (all - drawn)
  return chance
}
