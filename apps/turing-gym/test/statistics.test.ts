import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import type { GateRule } from '@hypercode/contracts'
import {
  compareRuns,
  fisherExact,
  judgeRun,
  judgeSequence,
  mcNemarExact,
  passAtK,
  passHatK,
  summarize,
  wilsonInterval,
} from '../src/statistics/index.ts'
import type { JudgedSample } from '../src/statistics/index.ts'

/** `+` passed, `-` failed, `?` errored, `.` still to come. */
const STATES = { '+': 'passed', '-': 'failed', '?': 'errored', '.': 'planned' } as const

const samplesOf = (results: Readonly<Record<string, string>>): JudgedSample[] =>
  Object.entries(results).flatMap(([scenario, marks]) =>
    Array.from(marks, (mark, index) => ({
      scenario,
      repetition: index + 1,
      state: STATES[mark as keyof typeof STATES],
    })),
  )

describe('figures that are known from elsewhere', () => {
  it.each([
    [8, 10, 0.95, 0.4901625, 0.9433178],
    [0, 10, 0.95, 0, 0.2775328],
    [10, 10, 0.95, 0.7224672, 1],
    [81, 263, 0.95, 0.2552969, 0.3662134],
    [45, 50, 0.99, 0.7402692, 0.966008],
  ])('Wilson %d of %d at %d', (passed, tried, confidence, low, high) => {
    const interval = wilsonInterval(passed, tried, confidence)
    expect(interval.low).toBeCloseTo(low, 4)
    expect(interval.high).toBeCloseTo(high, 4)
  })

  it.each([
    [3, 10, 1, 9, 0.582],
    [8, 10, 2, 10, 0.023],
    [5, 5, 0, 5, 0.0079365],
    [1, 15, 11, 14, 0.0000996],
    [10, 10, 10, 10, 1],
  ])('Fisher %d/%d against %d/%d', (a, n, b, m, p) => {
    expect(fisherExact({ before: { passed: a, tried: n }, after: { passed: b, tried: m } })).toBeCloseTo(p, 3)
  })

  it.each([
    [0, 0, 1],
    [0, 5, 0.0625],
    [1, 8, 0.0390625],
    [4, 4, 1],
    [6, 16, 0.052479],
  ])('McNemar %d lost, %d gained', (lost, gained, p) => expect(mcNemarExact(lost, gained)).toBeCloseTo(p, 5))

  it.each([
    [3, 5, 2, 0.9, 0.3],
    [1, 5, 5, 1, 0],
    [5, 5, 3, 1, 1],
    [0, 5, 3, 0, 0],
    [900, 1000, 10, 1, 0.3468],
  ])('pass@k and pass^k of %d of %d, k = %d', (passed, tried, k, any, all) => {
    expect(passAtK(passed, tried, k)).toBeCloseTo(any, 3)
    expect(passHatK(passed, tried, k)).toBeCloseTo(all, 3)
  })

  it('refuses what is no count', () => {
    expect(() => wilsonInterval(3, 2)).toThrow(RangeError)
    expect(() => wilsonInterval(1, 2, 1)).toThrow(RangeError)
    expect(() => passAtK(1, 2, 3)).toThrow(RangeError)
    expect(() => mcNemarExact(-1, 2)).toThrow(RangeError)
  })
})

describe('properties', () => {
  const counts = fc
    .integer({ min: 1, max: 400 })
    .chain((tried) => fc.record({ tried: fc.constant(tried), passed: fc.integer({ min: 0, max: tried }) }))

  it('Wilson holds the rate, lies in 0 to 1, mirrors, and narrows with more of the same', () => {
    fc.assert(
      fc.property(counts, ({ passed, tried }) => {
        const { low, high } = wilsonInterval(passed, tried)
        const mirrored = wilsonInterval(tried - passed, tried)
        const more = wilsonInterval(passed * 10, tried * 10)
        expect(low).toBeGreaterThanOrEqual(0)
        expect(high).toBeLessThanOrEqual(1)
        expect(low).toBeLessThanOrEqual(passed / tried)
        expect(high).toBeGreaterThanOrEqual(passed / tried)
        expect(low).toBeCloseTo(1 - mirrored.high, 10)
        expect(more.high - more.low).toBeLessThan(high - low)
      }),
    )
  })

  it('pass@k is the same as one minus pass^k of the fails', () => {
    fc.assert(
      fc.property(counts, fc.integer({ min: 1, max: 20 }), ({ passed, tried }, k) => {
        fc.pre(k <= tried)
        expect(passAtK(passed, tried, k)).toBeCloseTo(1 - passHatK(tried - passed, tried, k), 12)
        expect(passHatK(passed, tried, k)).toBeLessThanOrEqual(passAtK(passed, tried, k) + 1e-12)
      }),
    )
  })

  it('Fisher does not care which group is called first', () => {
    fc.assert(
      fc.property(counts, counts, (before, after) => {
        const p = fisherExact({ before, after })
        expect(p).toBeCloseTo(fisherExact({ before: after, after: before }), 6)
        expect(p).toBeGreaterThan(0)
        expect(p).toBeLessThanOrEqual(1)
      }),
    )
  })
})

describe('a summary', () => {
  it('counts what was judged, and tells errors apart', () => {
    const [one, two] = summarize([
      { scenario: 'a', repetition: 1, state: 'passed', latencyMs: 100, tokens: 10, usd: 0.1 },
      { scenario: 'a', repetition: 2, state: 'failed', latencyMs: 300, tokens: 30 },
      { scenario: 'a', repetition: 3, state: 'errored', latencyMs: 90_000, tokens: 1 },
      { scenario: 'a', repetition: 4, state: 'planned' },
      { scenario: 'b', repetition: 1, state: 'errored' },
    ])
    expect(one).toMatchObject({
      id: 'a',
      samples: 3,
      passed: 1,
      errored: 1,
      passRate: 0.5,
      p50Ms: 200,
      tokens: 41,
      usd: 0.1,
      passAtK: [0.5, 1],
      passHatK: [0.5, 0],
    })
    expect(two).toEqual({
      id: 'b',
      samples: 1,
      passed: 0,
      errored: 1,
      passRate: 0,
      interval: { low: 0, high: 1 },
      passAtK: [],
      passHatK: [],
      tokens: 0,
      usd: 0,
    })
  })
})

describe('thresholds', () => {
  const verdict = (rule: Omit<Extract<GateRule, { kind: 'thresholds' }>, 'kind'>, results: Record<string, string>) =>
    judgeRun({ kind: 'thresholds', ...rule }, samplesOf(results)).verdict

  it('ask for a share of all samples, and of each scenario', () => {
    expect(verdict({ passRate: 0.75 }, { a: '+++-' })).toBe('passed')
    expect(verdict({ passRate: 0.76 }, { a: '+++-' })).toBe('failed')
    expect(verdict({ passRate: 0.5, perScenario: 0.5 }, { a: '++++', b: '+---' })).toBe('failed')
    expect(verdict({ passRate: 0.5, perScenario: 0.25 }, { a: '++++', b: '+---' })).toBe('passed')
  })

  it('with a confidence need the evidence too, for either verdict', () => {
    const rule = { passRate: 0.8, confidence: 0.95 }
    expect(verdict(rule, { a: '+'.repeat(15) })).toBe('inconclusive')
    expect(verdict(rule, { a: '+'.repeat(16) })).toBe('passed')
    expect(verdict(rule, { a: '+'.repeat(7) + '-'.repeat(3) })).toBe('inconclusive')
    expect(verdict(rule, { a: '+'.repeat(5) + '-'.repeat(10) })).toBe('failed')
  })

  it('J1: give no verdict that a sample without a result could turn', () => {
    expect(verdict({ passRate: 0.75 }, { a: '+++?' })).toBe('passed')
    expect(verdict({ passRate: 0.75 }, { a: '++-?' })).toBe('inconclusive')
    expect(verdict({ passRate: 0.75 }, { a: '+--?' })).toBe('failed')
    expect(verdict({ passRate: 0 }, { a: '????' })).toBe('inconclusive')
    expect(verdict({ passRate: 0, perScenario: 0.5 }, { a: '++', b: '??' })).toBe('inconclusive')
  })

  it('J2: decide early only what no later sample can change', () => {
    expect(verdict({ passRate: 0.75 }, { a: '--..' })).toBe('failed')
    expect(verdict({ passRate: 0.5 }, { a: '+++.' })).toBe(undefined)
    expect(verdict({ passRate: 0.75 }, { a: '+-..' })).toBe(undefined)
  })

  it('bound the latency and the mean cost', () => {
    const samples: JudgedSample[] = [100, 200, 5000].map((latencyMs, index) => ({
      scenario: 'a',
      repetition: index,
      state: 'passed',
      latencyMs,
      usd: index,
    }))
    const judge = (rule: object) => judgeRun({ kind: 'thresholds', passRate: 0, ...rule }, samples).verdict
    expect(judge({ maxP95Ms: 5000 })).toBe('passed')
    expect(judge({ maxP95Ms: 4000 })).toBe('failed')
    expect(judge({ maxUsdPerSample: 1 })).toBe('passed')
    expect(judge({ maxUsdPerSample: 0.99 })).toBe('failed')
  })
})

describe('a sequential test', () => {
  const RULE = { kind: 'sequential', good: 0.95, bad: 0.8, alpha: 0.05, beta: 0.05, maxSamples: 300 } as const

  it('decides at the first bound that is crossed, and nothing later changes that', () => {
    const alone = judgeSequence(RULE, Array<boolean>(18).fill(true))
    expect(alone).toMatchObject({ verdict: 'passed', used: { passed: 18, failed: 0 } })
    expect(judgeSequence(RULE, [...Array<boolean>(18).fill(true), ...Array<boolean>(100).fill(false)])).toEqual(alone)
    expect(judgeSequence(RULE, Array<boolean>(17).fill(true)).verdict).toBe(undefined)
    expect(judgeSequence(RULE, [false, false, false])).toMatchObject({ verdict: 'failed' })
  })

  it('says that there is not enough evidence at maxSamples, and at the end of the plan', () => {
    const half = Array.from({ length: 300 }, (_, index) => index % 9 !== 0)
    expect(judgeSequence(RULE, half).verdict).toBe('inconclusive')
    expect(judgeRun(RULE, samplesOf({ a: '++++' })).verdict).toBe('inconclusive')
    expect(judgeRun(RULE, samplesOf({ a: '+++.' })).verdict).toBe(undefined)
  })

  it('T2: reads in the order of the plan, and waits for what is still to come', () => {
    expect(judgeRun(RULE, samplesOf({ a: `.${'-'.repeat(20)}` })).verdict).toBe(undefined)
  })

  it('T3: a sample without a result stands against either verdict', () => {
    expect(judgeSequence(RULE, [undefined, ...Array<boolean>(18).fill(true)]).verdict).toBe(undefined)
    expect(judgeSequence(RULE, [undefined, false, false, false]).verdict).toBe('failed')
    expect(judgeSequence(RULE, Array<undefined>(300).fill(undefined)).verdict).toBe('inconclusive')
  })
})

describe('a comparison', () => {
  const compare = (before: Record<string, string>, after: Record<string, string>) =>
    compareRuns({ id: 'now', samples: samplesOf(after) }, { id: 'before', samples: samplesOf(before) })
  const ten = (mark: string): string => mark.repeat(10)

  it('tells better from worse, by samples and by scenario', () => {
    const worse = compare({ a: ten('+'), b: ten('+') }, { a: ten('+'), b: ten('-') })
    expect(worse).toMatchObject({ verdict: 'worse', runId: 'now', baselineId: 'before' })
    expect(worse.scenarios).toEqual([
      { id: 'a', change: 'same', before: 1, after: 1 },
      { id: 'b', change: 'worse', before: 1, after: 0 },
    ])
    expect(compare({ a: ten('-') }, { a: ten('+') })).toMatchObject({
      verdict: 'better',
      scenarios: [{ change: 'better' }],
    })
  })

  it('says same only with evidence, and flaky of what comes and goes without any', () => {
    expect(compare({ a: '+' }, { a: '-' })).toMatchObject({
      verdict: 'not_enough_evidence',
      scenarios: [{ change: 'flaky' }],
    })
    expect(compare({ a: '+++' }, { a: '+++' })).toMatchObject({
      verdict: 'not_enough_evidence',
      scenarios: [{ change: 'same' }],
    })
    expect(compare({ a: ten('+').repeat(6) }, { a: ten('+').repeat(6) })).toMatchObject({ verdict: 'same', pValue: 1 })
  })

  it('finds the one scenario that broke among many that stay', () => {
    const before = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`s${index}`, '+++++']))
    const { scenarios } = compare(before, { ...before, s7: '-----' })
    expect(scenarios.filter(({ change }) => change !== 'same')).toEqual([
      { id: 's7', change: 'worse', before: 1, after: 0 },
    ])
  })

  it('names scenarios that came and went, and leaves out samples without a result', () => {
    const { scenarios, verdict } = compare({ a: '++', gone: '+-' }, { a: '+?', fresh: '??' })
    expect(scenarios).toEqual([
      { id: 'a', change: 'same', before: 1, after: 1 },
      { id: 'fresh', change: 'added' },
      { id: 'gone', change: 'removed', before: 0.5 },
    ])
    expect(verdict).toBe('not_enough_evidence')
  })
})
