import { expect, test } from 'vitest'
import { ENTRIES } from '../src/entries.ts'
import { isComplete, readOptions } from '../src/options.ts'

test('everything, three times, when nothing is said; that may be published', () => {
  const options = readOptions([])
  expect(options).toMatchObject({ entries: ENTRIES, workloads: ['P1', 'P2', 'P3', 'P4'], rounds: 3, share: 1 })
  expect(isComplete(options)).toBe(true)
})

test.each([
  ['--only', 'hypercode'],
  ['--workloads', 'P1'],
  ['--rounds', '2'],
  ['--share', '0.5'],
])('what has %s %s is not published', (...args) => {
  expect(isComplete(readOptions(args))).toBe(false)
})

test('contenders keep their order, whatever the order in which they are named', () => {
  const { entries } = readOptions(['--only', 'restate,hypercode'])
  expect(entries.map(({ id }) => id)).toEqual(['hypercode', 'restate'])
})

test.each([
  [['--only', 'sidekiq'], /there is no sidekiq; known are hypercode/],
  [['--workloads', 'P1,P9'], /there is no P9/],
  [['--rounds', '0'], /--rounds must be a number from 1/],
  [['--share', ''], /--share must be a number/],
  [['--speed', '9'], /--speed/],
])('%j is refused with words', (args, words) => {
  expect(() => readOptions(args)).toThrow(words)
})
