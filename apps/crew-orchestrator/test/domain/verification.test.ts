import { describe, expect, test } from 'vitest'
import { endAttempt } from '../../src/domain/end-attempt.ts'
import { OUTPUT_CHARS_MAX } from '../../src/domain/output-size.ts'
import type { Verify } from '../../src/domain/verify-terms.ts'
import type { CrewPlan } from '../../src/manifest/compile.ts'
import { aPlan, plannedTask } from './builders.ts'
import { World } from './world.ts'

const LIST: Verify = { kind: 'schema', schema: { type: 'array' }, maxRounds: 2 }
const REVIEW: Verify = { kind: 'agent', skill: 'review', maxRounds: 2 }
const crew = (verify: Verify, changes: Partial<CrewPlan> = {}): CrewPlan =>
  aPlan(
    [
      plannedTask('a', { policy: { verify }, retry: { ...plannedTask('x').retry, maxAttempts: 1 } }),
      plannedTask('b', { dependsOn: ['a'] }),
    ],
    changes,
  )
const verdict = (world: World, round: number, passed: boolean): void =>
  world.complete(`a:verify:${round}`, { passed, ...(passed ? {} : { reason: 'too short' }) })

describe('a round that fails', () => {
  test('gives its attempt back, and the last one ends the task', () => {
    const world = new World(crew(LIST))
    world.complete('a', 'no list')
    expect(world.task('a')).toMatchObject({ state: 'queued', attempt: 1, maxAttempts: 2, output: null })
    world.complete('a', 'no list')
    expect(world.task('a')).toMatchObject({ state: 'failed', error: { code: 'verification_failed' } })
    expect(world.deadLetters).toEqual([{ key: 'a', code: 'verification_failed' }])
    expect(world.mission.state).toBe('failed')
  })

  test('does not count what fails otherwise', () => {
    const world = new World(crew(REVIEW))
    world.complete('a', 'draft')
    verdict(world, 1, false)
    world.fail('a')
    expect(world.task('a')).toMatchObject({ state: 'failed', attempt: 2, error: { code: 'boom' } })
  })

  test('ends what is being canceled', () => {
    const world = new World(crew(REVIEW))
    world.complete('a', 'draft')
    const reviewer = world.task('a:verify:1')
    world.claim(reviewer)
    world.cancel()
    expect(world.task('a').state).toBe('canceled')
    world.end(reviewer, { kind: 'completed', output: { passed: true }, outputHash: '', chars: 15 })
    expect(world.mission.state).toBe('canceled')
  })
})

test('until it has passed nothing begins that waits for it, and then with that output', () => {
  const world = new World(crew(REVIEW))
  world.complete('a', 'draft')
  expect(world.in('queued').map(({ key, queue }) => [key, queue])).toEqual([['a:verify:1', 'review']])
  verdict(world, 1, false)
  world.complete('a', 'longer')
  expect(world.task('b').state).toBe('blocked')
  verdict(world, 2, true)
  expect(world.task('a')).toMatchObject({ state: 'completed', output: 'longer', error: null })
  expect(world.task('b').state).toBe('queued')
})

test('an output for which there is no room any more fails, although it passed', () => {
  const world = new World(crew(REVIEW))
  world.complete('a', 'draft')
  world.mission.outputChars = OUTPUT_CHARS_MAX - 30
  world.claim(world.task('a:verify:1'))
  world.mission.outputChars = OUTPUT_CHARS_MAX - 20
  world.end(world.task('a:verify:1'), { kind: 'completed', output: { passed: true }, outputHash: '', chars: 15 })
  expect(world.task('a')).toMatchObject({ state: 'failed', error: { code: 'output_too_large' } })
})

test('of two reports in one moment, what the first queues is held when the second pauses the mission', () => {
  const tasks = [plannedTask('a', { policy: { verify: LIST } }), plannedTask('b')]
  const world = new World(aPlan(tasks, { onTaskFailure: 'pause' }))
  const [a, b] = [world.task('a'), world.task('b')]
  world.claim(a)
  world.claim(b)
  const error = { code: 'boom', message: 'boom' }
  world.decide((ledger) => {
    endAttempt(ledger, a, { kind: 'completed', output: 'no list', outputHash: '', chars: 9 }, 0)
    const failure = { code: 'boom', retryable: false }
    endAttempt(ledger, b, { kind: 'failed', outcome: 'failed', error, failure }, 0)
    expect(a).toMatchObject({ state: 'queued', held: true })
  })
  expect(world.mission.state).toBe('paused')
})
