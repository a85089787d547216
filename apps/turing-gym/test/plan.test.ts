import { expect, test } from 'vitest'
import { planSamples, plannedCount } from '../src/domain/plan.ts'
import { suiteOf } from './gym.ts'

const order = (plan: ReturnType<typeof planSamples>): string[] =>
  plan.map(({ scenario, repetition }) => `${scenario} ${repetition}`)

test('all scenarios come once before any comes again, and each as often as it says', () => {
  const plan = planSamples(suiteOf(), undefined)
  expect(order(plan)).toEqual(['small 1', 'large 1', 'large 2'])
  expect(plan.map(({ ord }) => ord)).toEqual([1, 2, 3])
  expect(order(planSamples(suiteOf('s', { repetitions: 2 }), undefined))).toEqual([
    'small 1',
    'large 1',
    'small 2',
    'large 2',
  ])
  expect(order(planSamples(suiteOf(), 2))).toEqual(['small 1', 'large 1', 'small 2', 'large 2'])
})

test('a sequential rule has samples up to its bound, whatever the scenarios say, unless the caller says how far', () => {
  const gate = { kind: 'sequential', good: 0.9, bad: 0.5, alpha: 0.05, beta: 0.05, maxSamples: 5 } as const
  const suite = suiteOf('s', { gate })
  expect(order(planSamples(suite, undefined))).toEqual(['small 1', 'large 1', 'small 2', 'large 2', 'small 3'])
  expect(order(planSamples(suite, 1))).toEqual(['small 1', 'large 1'])
  expect(planSamples(suite, 9)).toHaveLength(5)
})

test('the size of a plan is known before it is made', () => {
  const gate = { kind: 'sequential', good: 0.9, bad: 0.5, alpha: 0.05, beta: 0.05, maxSamples: 5 } as const
  for (const suite of [suiteOf(), suiteOf('s', { repetitions: 7 }), suiteOf('s', { gate })]) {
    for (const asked of [undefined, 1, 2, 3, 10]) {
      expect(plannedCount(suite, asked)).toBe(planSamples(suite, asked).length)
    }
  }
})
