import { cpuMsOf } from '@hypercode/testkit/tools'
import { describe, expect, test } from 'vitest'
import { FOR_EACH_MAX } from '../../src/domain/release.ts'
import { aPlan, plannedTask } from './builders.ts'
import { World } from './world.ts'
import { chain, states } from './flowing.ts'

describe('forEach', () => {
  const each = (forEach: string | readonly unknown[], input: unknown = '${item}') =>
    plannedTask('each', { leaf: true, template: { input, forEach, reads: [] } })

  test('of nothing is done at once', () => {
    const world = new World(aPlan([each([])]))
    expect(world.task('each')).toMatchObject({ state: 'completed', output: [] })
    expect(world.mission.state).toBe('completed')
  })

  test('waits for its elements and joins their outputs in order', () => {
    const world = new World(aPlan([each(['x', 'y'], { item: '${item}', at: '${index}' })]))
    expect(states(world)).toEqual({ each: 'waiting', 'each[0]': 'queued', 'each[1]': 'queued' })
    expect(world.task('each[1]').input).toEqual({ item: 'y', at: 1 })
    world.complete('each[1]', 'Y')
    expect(world.task('each')).toMatchObject({ state: 'waiting', blockedBy: 1 })
    world.complete('each[0]', 'X')
    expect(world.task('each')).toMatchObject({ state: 'completed', output: ['X', 'Y'] })
    expect(world.mission).toMatchObject({ state: 'completed', totalTasks: 3 })
  })

  test('fails with an element when all others have ended, under policy continue', () => {
    const world = new World(
      aPlan([each(['x', 'y']), plannedTask('after', { dependsOn: ['each'] })], { onTaskFailure: 'continue' }),
    )
    world.fail('each[0]')
    expect(world.task('each').state).toBe('waiting')
    world.complete('each[1]')
    expect(states(world)).toMatchObject({ each: 'failed', after: 'skipped' })
    expect(world.task('each').error?.code).toBe('element_failed')
    expect(world.mission.state).toBe('failed')
  })

  describe('with onChildFailure: continue', () => {
    const tolerant = { ...each(['x', 'y', 'z']), policy: { childFailure: 'continue' } } as const

    test('has null in the place of what failed, and nothing else fails for it', () => {
      const world = new World(aPlan([tolerant, plannedTask('after', { dependsOn: ['each'] })]))
      world.fail('each[0]')
      world.claim(world.task('each[2]'))
      world.end(world.task('each[2]'), { kind: 'rejected', error: { code: 'no', message: 'no' } })
      world.complete('each[1]', 'Y')
      expect(world.task('each')).toMatchObject({ state: 'completed', output: [null, 'Y', null] })
      expect(world.deadLetters.map(({ key }) => key)).toEqual(['each[0]', 'each[2]'])
      world.complete('after')
      expect(world.mission).toMatchObject({ state: 'completed', error: null })
    })

    test('is canceled with its mission all the same', () => {
      const world = new World(aPlan([tolerant]))
      world.claim(world.task('each[0]'))
      world.cancel()
      world.end(world.task('each[0]'), { kind: 'canceled' })
      expect(world.task('each').state).toBe('canceled')
      expect(world.mission.state).toBe('canceled')
    })

    test('its own failure is a failure', () => {
      const world = new World(
        aPlan([{ ...tolerant, template: { input: null, forEach: '${mission.input}', reads: [] } }]),
      )
      expect(world.mission.state).toBe('failed')
    })
  })

  test.for([
    ['${mission.input.text}', 'forEach needs a list, not string'],
    ['${mission.input.none}', 'forEach needs a list, not null'],
    ['${mission.input.missing}', 'has no "missing"'],
    ['${mission.input.huge}', `at most ${FOR_EACH_MAX}`],
  ] as const)('over %s fails the task with words', ([forEach, words]) => {
    const huge = Array.from({ length: FOR_EACH_MAX + 1 }, () => 0)
    const world = new World(aPlan([each(forEach)]), { text: 't', none: null, huge })
    expect(world.task('each')).toMatchObject({ state: 'failed', error: { code: 'reference_unresolved' } })
    expect(world.task('each').error?.message).toContain(words)
    expect(world.mission.state).toBe('failed')
    expect(world.tasks).toHaveLength(1)
  })

  test('as many elements as are allowed are planned in a moment', () => {
    const huge = Array.from({ length: FOR_EACH_MAX }, (_, index) => index)
    const plan = aPlan([
      each('${mission.input}'),
      ...chain('a', 'b', 'c', 'd').map(skipped),
      plannedTask('e', { dependsOn: ['d'] }),
    ])
    const tookMs = cpuMsOf(() => {
      const world = new World(plan, huge)
      expect(world.mission.totalTasks).toBe(FOR_EACH_MAX + 6)
      expect(world.task('e').state).toBe('queued')
    })
    expect(tookMs).toBeLessThan(2000)
  })
})

const skipped = (task: ReturnType<typeof plannedTask>) => ({
  ...task,
  template: { input: null, when: 'false', reads: [] },
})
