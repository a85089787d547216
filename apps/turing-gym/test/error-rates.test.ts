import { describe, expect, it } from 'vitest'
import { compareRuns, judgeSequence } from '../src/statistics/index.ts'
import type { JudgedSample } from '../src/statistics/index.ts'
import { seeded } from './support/random.ts'

/**
 * What the rules declare, measured: many runs with true pass rates that are known, drawn from a seeded generator. A rate that is declared
 * as p may be seen above p by chance, so what is asserted is p and four standard errors of that many runs: a right rule is refused by one
 * seed in thirty thousand.
 */
const RUNS = 4000
const withMargin = (rate: number): number => rate + 4 * Math.sqrt((rate * (1 - rate)) / RUNS)

const shareOf = (isHit: () => boolean): number => {
  let hits = 0
  for (let run = 0; run < RUNS; run += 1) if (isHit()) hits += 1
  return hits / RUNS
}

function* draws(random: () => number, rate: number): Generator<boolean> {
  for (;;) yield random() < rate
}

describe.each([
  { alpha: 0.05, beta: 0.05, maxSamples: 2000 },
  { alpha: 0.01, beta: 0.1, maxSamples: 2000 },
])('a sequential test between 0.95 and 0.80 with alpha $alpha and beta $beta', (errors) => {
  const rule = { kind: 'sequential', good: 0.95, bad: 0.8, ...errors } as const
  const verdicts = (rate: number, seed: number) => {
    const random = seeded(seed)
    return Array.from({ length: RUNS }, () => judgeSequence(rule, draws(random, rate)))
  }
  const share = (all: ReturnType<typeof verdicts>, verdict: string): number =>
    all.filter((one) => one.verdict === verdict).length / RUNS

  it('fails a good version, and passes a bad one, no more often than declared', () => {
    const good = verdicts(0.95, 11)
    const bad = verdicts(0.8, 12)
    expect(share(good, 'failed')).toBeLessThanOrEqual(withMargin(rule.beta))
    expect(share(bad, 'passed')).toBeLessThanOrEqual(withMargin(rule.alpha))
    // And it does decide: the rest is the other verdict.
    expect(share(good, 'passed')).toBeGreaterThanOrEqual(1 - withMargin(rule.beta))
    expect(share(bad, 'failed')).toBeGreaterThanOrEqual(1 - withMargin(rule.alpha))
  })

  it('is even surer of versions that are better than good, or worse than bad', () => {
    expect(share(verdicts(0.99, 13), 'failed')).toBeLessThanOrEqual(withMargin(rule.beta))
    expect(share(verdicts(0.6, 14), 'passed')).toBeLessThanOrEqual(withMargin(rule.alpha))
  })

  it('takes fewer samples than a test of a fixed size', () => {
    const tries = verdicts(0.95, 15).map(({ used }) => used.passed + used.failed)
    expect(tries.reduce((sum, count) => sum + count, 0) / RUNS).toBeLessThan(60)
  })
})

it('a bounded sequential test says inconclusive rather than a wrong word', () => {
  const random = seeded(21)
  const rule = { kind: 'sequential', good: 0.95, bad: 0.8, alpha: 0.05, beta: 0.05, maxSamples: 25 } as const
  const all = Array.from({ length: RUNS }, () => judgeSequence(rule, draws(random, 0.8)).verdict)
  expect(all.filter((verdict) => verdict === 'passed').length / RUNS).toBeLessThanOrEqual(withMargin(rule.alpha))
  expect(all).toContain('inconclusive')
  expect(all).not.toContain(undefined)
})

describe('a comparison of two runs', () => {
  const runOf = (random: () => number, rates: readonly number[], repetitions: number) => ({
    id: 'run',
    samples: rates.flatMap((rate, scenario) =>
      Array.from(
        { length: repetitions },
        (_, index): JudgedSample => ({
          scenario: `s${scenario}`,
          repetition: index + 1,
          state: random() < rate ? 'passed' : 'failed',
        }),
      ),
    ),
  })

  it.each([
    ['one scenario', [0.9], 60],
    ['easy and hard scenarios', [0.99, 0.5, 0.8, 0.1, 0.95, 0.7], 10],
    ['many scenarios, few tries', Array<number>(20).fill(0.85), 3],
    ['many scenarios, many tries', Array<number>(12).fill(0.6), 25],
  ] as const)('calls two equal versions different no more often than alpha: %s', (_name, rates, repetitions) => {
    const random = seeded(31)
    const alpha = 0.05
    const seen = { overall: 0, scenario: 0 }
    for (let run = 0; run < RUNS; run += 1) {
      const { verdict, scenarios } = compareRuns(runOf(random, rates, repetitions), runOf(random, rates, repetitions), {
        alpha,
      })
      if (verdict === 'better' || verdict === 'worse') seen.overall += 1
      if (scenarios.some(({ change }) => change === 'better' || change === 'worse')) seen.scenario += 1
    }
    expect(seen.overall / RUNS).toBeLessThanOrEqual(withMargin(alpha))
    expect(seen.scenario / RUNS).toBeLessThanOrEqual(withMargin(alpha))
  })

  it('tells 0.95 from 0.80 apart, in the right direction', () => {
    const random = seeded(41)
    const worse = shareOf(
      () => compareRuns(runOf(random, [0.8, 0.8], 75), runOf(random, [0.95, 0.95], 75)).verdict === 'worse',
    )
    expect(worse).toBeGreaterThan(0.95)
  })
})
