import { describe, expect, test } from 'vitest'
import { judgeGate, stableBefore } from '../../src/domain/gate.ts'
import type { PastDecision, SuiteEvidence } from '../../src/domain/gate.ts'

const evidence = (
  suite: string,
  run: Partial<SuiteEvidence['run']> | undefined = {},
  latestVersion: number | undefined = 1,
): SuiteEvidence => ({
  suite,
  latestVersion,
  run: { id: `run-of-${suite}`, suiteVersion: 1, verdict: 'passed', ...run },
})

describe('a version with a gate', () => {
  test('passes when the latest run of each of its suites has passed', () => {
    expect(judgeGate(['a', 'b'], [evidence('a'), evidence('b')])).toEqual({
      may: true,
      runIds: ['run-of-a', 'run-of-b'],
    })
  })
  test.for<[string, SuiteEvidence[], string]>([
    [
      'a suite that was never run',
      [evidence('a'), { suite: 'b', latestVersion: 1, run: undefined }],
      'has no completed run for this content',
    ],
    ['a suite that nobody has stored', [evidence('a')], 'there is no suite "b"'],
    ['a run that failed', [evidence('a'), evidence('b', { verdict: 'failed' })], 'ended failed'],
    [
      'a run without enough evidence',
      [evidence('a'), evidence('b', { verdict: 'inconclusive' })],
      'ended inconclusive',
    ],
    ['a run of an older version of the suite', [evidence('a'), evidence('b', {}, 2)], 'which is at version 2'],
  ])('is refused for %s, by name', ([, found, words]) => {
    expect(judgeGate(['a', 'b'], found)).toEqual({
      may: false,
      missing: [{ pointer: '/spec/gate/suites/1', message: expect.stringContaining(words) }],
    })
  })
})

describe('a version without a gate', () => {
  test('passes with one suite that it has passed', () => {
    expect(judgeGate(undefined, [evidence('a', { verdict: 'failed' }), evidence('b')])).toEqual({
      may: true,
      runIds: ['run-of-b'],
    })
  })
  test('is refused when it has passed none, and told what became of those that it was run with', () => {
    expect(judgeGate(undefined, [])).toMatchObject({
      may: false,
      missing: [{ message: 'no suite has passed for this content' }],
    })
    expect(judgeGate(undefined, [evidence('a', { verdict: 'failed' })])).toMatchObject({
      may: false,
      missing: [{}, { message: expect.stringContaining('"a" ended failed') }],
    })
  })
})

test('what was stable before is stable again, however often it went up and down', () => {
  const history = (text: string): PastDecision[] =>
    text
      .split(' ')
      .filter(Boolean)
      .map((word) => ({ kind: word.startsWith('+') ? 'promoted' : 'demoted', version: Number(word.slice(1)) }))
  expect(stableBefore(history(''))).toBeUndefined()
  expect(stableBefore(history('+1'))).toBeUndefined()
  expect(stableBefore(history('+1 +2'))).toBe(1)
  expect(stableBefore(history('+1 +2 +3 -3'))).toBe(1)
  expect(stableBefore(history('+1 +2 -2 +3'))).toBe(1)
  expect(stableBefore(history('+1 +2 +2'))).toBe(1)
})
