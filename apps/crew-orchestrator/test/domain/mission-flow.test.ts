import { cpuMsOf } from '@hypercode/testkit/tools'
import { describe, expect, test } from 'vitest'
import { aPlan, plannedTask } from './builders.ts'
import { World } from './world.ts'
import { chain, states } from './flowing.ts'

describe('a task that is skipped', () => {
  test('lets what waits for it go on, and its output is null there', () => {
    const world = new World(
      aPlan([
        plannedTask('first', { template: { input: null, when: 'false', reads: [] } }),
        plannedTask('second', {
          dependsOn: ['first'],
          template: { input: ['${tasks.first.output}', '${tasks.first.state}'], reads: ['first'] },
        }),
      ]),
    )
    expect(states(world)).toEqual({ first: 'skipped', second: 'queued' })
    expect(world.task('second').input).toEqual([null, 'skipped'])
    world.complete('second')
    expect(world.mission).toMatchObject({ state: 'completed', openTasks: 0 })
  })

  test('a mission in which nothing is left to do ends at its birth', () => {
    const world = new World(
      aPlan(chain('a', 'b', 'c').map((task) => ({ ...task, template: { input: null, when: '1 > 2', reads: [] } }))),
    )
    expect(world.mission.state).toBe('completed')
    expect(world.events.map((event) => event.type)).toEqual([
      'mission.submitted',
      'task.skipped',
      'task.skipped',
      'task.skipped',
      'mission.completed',
    ])
  })
})

// Goal: the birth of a mission costs as much as it has tasks and edges, not edges times rounds. Method: 500 tasks that each wait for all
// before them and are skipped one after another, against the same tasks when nothing moves at all; looking through all edges in every
// round costs forty times as much.
test('a long chain of skips in a dense crew is followed quickly', () => {
  const keys = Array.from({ length: 500 }, (_, index) => `t${index}`)
  const denseCrew = (when: string) =>
    aPlan(
      keys.map((key, index) =>
        plannedTask(key, {
          dependsOn: keys.slice(0, index),
          leaf: index === keys.length - 1,
          template: { input: null, when, reads: [] },
        }),
      ),
    )
  const birth = (when: string, state: string): number => {
    const plan = denseCrew(when)
    const births = Array.from({ length: 5 }, () => cpuMsOf(() => expect(new World(plan).mission.state).toBe(state)))
    return Math.min(...births)
  }
  const stillMs = birth('true', 'submitted')
  const skipsMs = birth('false', 'completed')
  expect(skipsMs).toBeLessThan(10 * stillMs)
})

test('a large text of the template counts for every element of a forEach', () => {
  const large = 'x'.repeat(10_000)
  for (const input of [`${large} \${index}`, large, { [large]: 1 }, Array.from({ length: 2000 }, () => 1)]) {
    const world = new World(
      aPlan([plannedTask('each', { template: { input, forEach: Array.from({ length: 5000 }, () => 0), reads: [] } })]),
    )
    expect(world.mission).toMatchObject({ state: 'failed', error: { code: 'reference_unresolved' }, totalTasks: 1 })
  }
})

describe('a task that fails', () => {
  test('ends the mission: what waits is canceled, what runs may end', () => {
    const world = new World(aPlan([...chain('a', 'b'), plannedTask('side'), plannedTask('idle')]))
    world.claim(world.task('side'))
    world.fail('a')
    expect(states(world)).toEqual({ a: 'failed', b: 'canceled', side: 'executing', idle: 'canceled' })
    expect(world.mission).toMatchObject({ state: 'running', canceling: true, error: { code: 'boom' } })
    world.complete('side')
    expect(states(world)['side']).toBe('completed')
    expect(world.mission.state).toBe('failed')
  })

  test('under policy continue everything behind it is skipped, however far, and the rest goes on', () => {
    const world = new World(
      aPlan(
        [
          ...chain('a', 'b', 'c', 'd'),
          plannedTask('side'),
          plannedTask('join', { dependsOn: ['side', 'c'] }),
          plannedTask('after', { dependsOn: ['side'] }),
        ],
        { onTaskFailure: 'continue' },
      ),
    )
    world.fail('a')
    expect(states(world)).toMatchObject({ b: 'skipped', c: 'skipped', d: 'skipped', join: 'skipped', side: 'queued' })
    expect(world.task('d')).toMatchObject({ error: { code: 'dependency_failed' }, reason: 'c ended skipped' })
    world.complete('side')
    expect(states(world)['after']).toBe('queued')
    world.complete('after')
    expect(world.mission).toMatchObject({ state: 'failed', error: { code: 'boom', taskId: world.task('a').id } })
  })

  test('one that its agent calls canceled, although nobody canceled it, does not make a completed mission', () => {
    const world = new World(aPlan(chain('a', 'b')))
    world.claim(world.task('a'))
    world.end(world.task('a'), { kind: 'canceled' })
    expect(states(world)).toEqual({ a: 'canceled', b: 'canceled' })
    expect(world.mission).toMatchObject({ state: 'failed', error: { code: 'canceled' } })
  })

  test('an error of any text fits into the error of the mission', () => {
    const world = new World(aPlan([plannedTask('a')]))
    world.claim(world.task('a'))
    const error = { code: 'boom', message: `x${'😀'.repeat(7999)}` }
    world.end(world.task('a'), {
      kind: 'failed',
      outcome: 'failed',
      error,
      failure: { code: 'boom', retryable: false },
    })
    expect(world.mission.error?.message.isWellFormed()).toBe(true)
    expect([...(world.mission.error?.message ?? '')].length).toBeLessThanOrEqual(8000)
  })
})

describe('a retry', () => {
  const fails = {
    kind: 'failed',
    outcome: 'failed',
    error: { code: 'boom', message: 'm' },
    failure: { code: 'boom', retryable: true },
  } as const

  test('comes until the attempts are used up; then there is one dead letter', () => {
    const world = new World(aPlan([plannedTask('a')]))
    const task = world.task('a')
    for (const attempt of [1, 2]) {
      world.claim(task)
      world.end(task, fails, 0.5)
      expect(task).toMatchObject({ state: 'scheduled', attempt, delayMs: 500 * 2 ** (attempt - 1) })
      task.state = 'queued'
    }
    world.claim(task)
    world.end(task, fails)
    expect(task).toMatchObject({ state: 'failed', attempt: 3 })
    expect(world.deadLetters).toEqual([{ key: 'a', code: 'boom' }])
    expect(world.mission.state).toBe('failed')
  })

  test('a task that is handed back keeps its attempts', () => {
    const world = new World(aPlan([plannedTask('a')]))
    const task = world.task('a')
    for (let round = 1; round <= 5; round += 1) {
      world.claim(task)
      world.end(task, { kind: 'released' })
      expect(task).toMatchObject({ state: 'queued', attempt: round, maxAttempts: 3 + round })
    }
    expect(world.deadLetters).toEqual([])
  })

  test('is not given in a mission that is being canceled, whatever the agent says', () => {
    for (const ending of [fails, { kind: 'released' }, { kind: 'canceled' }] as const) {
      const world = new World(aPlan([plannedTask('a')]))
      world.claim(world.task('a'))
      world.cancel()
      world.end(world.task('a'), ending)
      expect(world.mission.state).toBe('canceled')
      expect(world.deadLetters).toEqual([])
    }
  })

  test('exhausted under policy pause waits for a person', () => {
    const retry = { ...plannedTask('a').retry, maxAttempts: 1, onExhausted: 'pause' } as const
    const world = new World(aPlan([plannedTask('a', { retry }), plannedTask('b', { dependsOn: ['a'] })]))
    world.claim(world.task('a'))
    world.end(world.task('a'), fails)
    expect(states(world)).toEqual({ a: 'paused', b: 'blocked' })
    expect(world.mission).toMatchObject({ state: 'running', error: null })
  })

  test('a task that its agent refuses is not tried again', () => {
    const world = new World(aPlan([plannedTask('a')]))
    world.claim(world.task('a'))
    world.end(world.task('a'), { kind: 'rejected', error: { code: 'not_mine', message: 'm' } })
    expect(states(world)).toEqual({ a: 'rejected' })
    expect(world.deadLetters).toEqual([{ key: 'a', code: 'not_mine' }])
    expect(world.mission.state).toBe('failed')
  })
})
