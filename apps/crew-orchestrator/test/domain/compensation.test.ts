import { describe, expect, test } from 'vitest'
import { keptAfter } from '../../src/domain/again.ts'
import { operate } from '../../src/domain/operate.ts'
import { move } from '../../src/domain/ledger.ts'
import { DEFAULT_RETRY } from '../../src/domain/retry.ts'
import type { PlannedTask } from '../../src/manifest/compile.ts'
import { NO_TIMEOUTS, aPlan, plannedTask } from './builders.ts'
import { World } from './world.ts'

const undone = (input?: unknown, retry = DEFAULT_RETRY) => ({
  compensate: { queue: 'undo', requires: [], retry, timeouts: NO_TIMEOUTS, ...(input === undefined ? {} : { input }) },
})

/** Tasks one after the other; all but the last say how they are undone. */
const chain = (...keys: string[]): PlannedTask[] =>
  keys.map((key, index) =>
    plannedTask(key, {
      dependsOn: index === 0 ? [] : [keys[index - 1] as string],
      policy: index === keys.length - 1 ? null : undone(),
    }),
  )

const ends = (world: World): unknown[] =>
  world.events.filter(({ type }) => /^task\.(completed|failed|canceled)$/.test(type)).map(({ body }) => body['key'])

// Goal: what was done is undone the other way round. Method: a crew whose last task fails; its compensations are looked at one by one.
describe('a mission that fails', () => {
  test('undoes its completed tasks, the last one first, and ends when that is over', () => {
    const world = new World(aPlan(chain('a', 'b', 'c')))
    world.complete('a', 1)
    world.complete('b', 2)
    world.fail('c')
    expect(world.mission).toMatchObject({ state: 'running', compensating: true, openTasks: 2 })
    expect(world.task('b:compensate')).toMatchObject({
      state: 'queued',
      queue: 'undo',
      input: { input: null, output: 2 },
    })
    expect(world.task('a:compensate')).toMatchObject({ state: 'blocked', blockedBy: 1 })
    world.complete('b:compensate')
    expect(world.task('a:compensate')).toMatchObject({ state: 'queued', input: { input: null, output: 1 } })
    expect(world.over).toBe(false)
    world.complete('a:compensate')
    expect(world.mission).toMatchObject({ state: 'failed', error: { code: 'boom', taskId: world.task('c').id } })
    expect(ends(world)).toEqual(['a', 'b', 'c', 'b:compensate', 'a:compensate'])
    expect(world.events.filter(({ type }) => type === 'mission.compensating')).toMatchObject([{ body: { tasks: 2 } }])
  })

  test('begins when everything has ended, and undoes what was completed after the failure', () => {
    const tasks = ['a', 'b', 'c'].map((key) => plannedTask(key, { policy: undone() }))
    const world = new World(aPlan(tasks, { onTaskFailure: 'continue' }))
    for (const key of ['a', 'b', 'c']) world.claim(world.task(key))
    world.complete('b')
    world.fail('a')
    expect(world.mission.compensating).toBe(false)
    world.complete('c')
    world.complete('c:compensate')
    world.complete('b:compensate')
    expect(world.mission.state).toBe('failed')
    expect(world.tasks.map(({ key }) => key)).not.toContain('a:compensate')
  })

  test('tells a compensation why, if it asks', () => {
    const input = { why: '${mission.error.code}', what: '${tasks.a.output.id}' }
    const [a, b] = chain('a', 'b') as [PlannedTask, PlannedTask]
    const world = new World(aPlan([{ ...a, policy: undone(input) }, b]))
    world.complete('a', { id: 'flight-1' })
    world.fail('b')
    expect(world.task('a:compensate').input).toEqual({ why: 'boom', what: 'flight-1' })
  })
})

describe('a mission that is canceled', () => {
  test('undoes what completes after the cancel, and a second cancel ends none of it', () => {
    const world = new World(aPlan([plannedTask('a', { policy: undone() })]))
    world.claim(world.task('a'))
    world.cancel()
    world.complete('a')
    expect(world.mission).toMatchObject({ state: 'running', compensating: true })
    world.cancel()
    expect(world.task('a:compensate').state).toBe('queued')
    world.complete('a:compensate')
    expect(world.mission).toMatchObject({ state: 'canceled', error: null })
  })

  test('tries a compensation again by its own policy', () => {
    const world = new World(aPlan([plannedTask('a', { policy: undone() })]))
    world.claim(world.task('a'))
    world.cancel()
    world.complete('a')
    const task = world.task('a:compensate')
    world.claim(task)
    const failure = { code: 'busy', retryable: true }
    world.end(task, { kind: 'failed', outcome: 'failed', error: { code: 'busy', message: 'm' }, failure })
    expect(task.state).toBe('scheduled')
  })

  test('with nothing to undo ends at once', () => {
    const world = new World(aPlan([plannedTask('a', { policy: undone() }), plannedTask('b')]))
    world.cancel()
    expect(world.mission).toMatchObject({ state: 'canceled', compensating: false })
  })
})

describe('a compensation that fails', () => {
  test('is a dead letter and in the error of the mission, and the others still run', () => {
    const world = new World(aPlan(chain('a', 'b', 'c')))
    world.complete('a')
    world.complete('b')
    world.fail('c', 'boom')
    world.fail('b:compensate', 'gone')
    expect(world.task('a:compensate').state).toBe('queued')
    world.complete('a:compensate')
    expect(world.mission).toMatchObject({
      state: 'failed',
      error: {
        code: 'compensation_failed',
        message: 'boom: task c: boom; task b is not undone: gone',
        taskId: world.task('b:compensate').id,
      },
    })
    expect(world.deadLetters).toMatchObject([{ key: 'c' }, { key: 'b:compensate', code: 'gone' }])
  })

  test('makes a canceled mission one that failed', () => {
    const world = new World(aPlan([plannedTask('a', { policy: undone() })]))
    world.claim(world.task('a'))
    world.cancel()
    world.complete('a')
    world.fail('a:compensate')
    expect(world.mission).toMatchObject({ state: 'failed', error: { code: 'compensation_failed' } })
  })

  test('whose input cannot be filled in lets the next one go', () => {
    const [a, b, c] = chain('a', 'b', 'c') as [PlannedTask, PlannedTask, PlannedTask]
    const world = new World(aPlan([a, { ...b, policy: undone('${tasks.b.output.lost}') }, c]))
    world.complete('a')
    world.complete('b', { found: 1 })
    world.fail('c')
    expect(world.task('b:compensate')).toMatchObject({ state: 'failed', error: { code: 'reference_unresolved' } })
    expect(world.deadLetters.map(({ key }) => key)).toContain('b:compensate')
    world.complete('a:compensate')
    expect(world.mission).toMatchObject({ state: 'failed', error: { code: 'compensation_failed' } })
  })

  test('waits for people when its policy says so, and what a person skips is as good as undone', () => {
    const [a, b, c] = chain('a', 'b', 'c') as [PlannedTask, PlannedTask, PlannedTask]
    const world = new World(
      aPlan([a, { ...b, policy: undone(undefined, { ...DEFAULT_RETRY, onExhausted: 'pause' }) }, c]),
    )
    world.complete('a')
    world.complete('b')
    world.fail('c')
    world.fail('b:compensate')
    expect(world.task('b:compensate').state).toBe('paused')
    expect(world.task('a:compensate').state).toBe('blocked')
    world.decide((ledger) => expect(operate(ledger, world.task('b:compensate'), 'skip', 'by hand')).toBeUndefined())
    world.complete('a:compensate')
    expect(world.mission).toMatchObject({ state: 'failed', error: { code: 'boom' } })
  })
})

describe('what is undone', () => {
  test('each element of a forEach by itself, and not the task that gathers them', () => {
    const each = plannedTask('each', {
      policy: undone('${tasks.each.output}'),
      template: { input: '${item}', forEach: ['x', 'y', 'z'], reads: [] },
    })
    const world = new World(aPlan([each]))
    world.complete('each[1]', 'Y')
    world.complete('each[0]', 'X')
    world.fail('each[2]')
    world.complete('each[0]:compensate')
    world.complete('each[1]:compensate')
    expect(world.tasks.map(({ key, input }) => [key, input]).slice(-2)).toEqual([
      ['each[0]:compensate', 'X'],
      ['each[1]:compensate', 'Y'],
    ])
    expect(world.over).toBe(true)
  })

  test('no task that was skipped', () => {
    const world = new World(aPlan([plannedTask('a', { policy: undone() }), plannedTask('b')]))
    world.decide((ledger) => operate(ledger, world.task('a'), 'skip', 'not needed'))
    world.fail('b')
    expect(world.mission).toMatchObject({ state: 'failed', compensating: false })
  })

  test('nothing before a person has decided about what is paused', () => {
    const [a, b] = chain('a', 'b') as [PlannedTask, PlannedTask]
    const world = new World(aPlan([a, { ...b, retry: { ...DEFAULT_RETRY, onExhausted: 'pause' } }]))
    world.complete('a')
    world.fail('b')
    expect(world.mission.compensating).toBe(false)
    world.decide((ledger) => move(ledger, world.task('b'), 'failed'))
    expect(world.task('a:compensate').state).toBe('queued')
  })
})

describe('a mission that is done again', () => {
  const kept = (parent: string | null = null, undone = false) => ({
    taskId: 'x',
    output: null,
    chars: 4,
    undone,
    parent,
  })

  test('does again what was undone, whoever planned that, and what waits for them', () => {
    const plan = aPlan([
      plannedTask('plan'),
      plannedTask('each'),
      plannedTask('other'),
      plannedTask('last', { dependsOn: ['plan'] }),
    ])
    const done = new Map([
      ['plan', kept()],
      ['made', kept('plan')],
      ['made-by-made', kept('made', true)],
      ['each', kept()],
      ['each[0]', kept('each', true)],
      ['each[1]', kept('each')],
      ['other', kept()],
      ['last', kept()],
    ])
    expect([...keptAfter(plan, done).keys()]).toEqual(['other'])
    expect([...keptAfter(plan, done, 'other').keys()]).toEqual([])
  })
})
