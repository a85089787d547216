import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { isNothing, scale } from '../../src/domain/scaling.ts'
import type { ScaleInstance, ScaleSnapshot } from '../../src/domain/scaling.ts'

let next = 0
const member = (changes: Partial<ScaleInstance> = {}): ScaleInstance => ({
  id: `i${(next += 1)}`,
  role: 'member',
  origin: 'population',
  state: 'ready',
  busy: 0,
  required: 0,
  idleMs: 0,
  ...changes,
})
const spare = (changes: Partial<ScaleInstance> = {}): ScaleInstance =>
  member({ role: 'spare', origin: 'warm', ...changes })
const snapshot = (changes: Partial<ScaleSnapshot> = {}): ScaleSnapshot => ({
  isStable: true,
  keepsWarm: true,
  min: 0,
  max: 5,
  slots: 2,
  warmPool: 0,
  idleTtlMs: undefined,
  queued: 0,
  others: 0,
  room: 100,
  instances: [],
  ...changes,
})

describe('members follow the work', () => {
  test.for<[string, Partial<ScaleSnapshot>, number]>([
    ['none without work', {}, 0],
    ['one for a task', { queued: 1 }, 1],
    ['as many as the slots need', { queued: 5 }, 3],
    ['no more than max', { queued: 100 }, 5],
    ['no fewer than min', { min: 2 }, 2],
    ['min counts for the stable version alone', { min: 2, isStable: false }, 0],
    ['what starts already is counted', { queued: 4, instances: [member({ state: 'starting' })] }, 1],
    ['what is busy is work too', { queued: 2, instances: [member({ busy: 2 })] }, 1],
    [
      'what is in quarantine does no work and holds its place',
      { queued: 10, instances: [member({ state: 'quarantined' })] },
      4,
    ],
    ['what leaves holds none', { queued: 10, instances: [member({ state: 'leaving' })] }, 5],
    ['no more than there is room for', { queued: 10, room: 2 }, 2],
  ])('%s', ([, changes, expected]) => expect(scale(snapshot(changes)).spawn).toBe(expected))

  test('what sleeps wakes first, then what is warm is promoted, then new ones are made', () => {
    const asleep = member({ state: 'asleep' })
    const decision = scale(snapshot({ queued: 6, warmPool: 1, instances: [asleep, spare()] }))
    expect(decision).toMatchObject({ wake: [asleep.id], promote: 1, spawn: 1, spawnSpares: 1 })
  })
})

describe('idle members', () => {
  const idle = member({ idleMs: 90_000 })
  test('sleep when they have idled long enough, the longest first, and never below what is needed', () => {
    const longer = member({ idleMs: 100_000 })
    expect(scale(snapshot({ instances: [idle, longer] })).hibernate).toEqual([longer.id, idle.id])
    expect(scale(snapshot({ min: 1, instances: [idle, longer] })).hibernate).toEqual([longer.id])
    expect(scale(snapshot({ instances: [member({ idleMs: 59_999 })] })).hibernate).toEqual([])
    expect(scale(snapshot({ idleTtlMs: 1000, instances: [member({ idleMs: 1000 })] })).hibernate).toHaveLength(1)
  })
  test('that somebody has spawned sleep only when their blueprint says after how long', () => {
    const spawned = member({ origin: 'spawned', idleMs: 90_000 })
    expect(scale(snapshot({ instances: [spawned] })).hibernate).toEqual([])
    expect(scale(snapshot({ idleTtlMs: 1000, instances: [spawned] })).hibernate).toEqual([spawned.id])
  })
  test('of a version that is no longer stable end, once they sleep and nothing asks for them', () => {
    const asleep = member({ state: 'asleep' })
    const byHand = member({ state: 'asleep', origin: 'spawned' })
    expect(scale(snapshot({ isStable: false, instances: [asleep, byHand] })).stop).toEqual([asleep.id])
    expect(scale(snapshot({ isStable: false, queued: 1, instances: [asleep] }))).toMatchObject({
      stop: [],
      wake: [asleep.id],
    })
    expect(scale(snapshot({ instances: [asleep] })).stop).toEqual([])
  })
})

describe('a version that is not stable', () => {
  const unstable = { isStable: false } as const
  test('has what was spawned wake for any task that it could claim, and nothing new made for it', () => {
    const asleep = member({ state: 'asleep', origin: 'spawned' })
    const made = member({ state: 'asleep' })
    expect(scale(snapshot({ ...unstable, others: 9, instances: [asleep, made] }))).toMatchObject({
      wake: [asleep.id],
      spawn: 0,
      promote: 0,
    })
    expect(
      scale(snapshot({ ...unstable, others: 2, instances: [asleep, member({ origin: 'spawned' })] })).wake,
    ).toEqual([])
  })
  test('has what the scaler has made leave when it is found at work that does not require it', () => {
    const astray = member({ busy: 2, required: 1 })
    const right = member({ busy: 1, required: 1 })
    const byHand = member({ busy: 1, origin: 'spawned' })
    expect(scale(snapshot({ ...unstable, instances: [astray, right, byHand] })).stop).toEqual([astray.id])
    expect(scale(snapshot({ ...unstable, queued: 1, instances: [astray] })).stop).toEqual([])
    expect(scale(snapshot({ instances: [astray] })).stop).toEqual([])
  })
})

test('while one wakes for work that others could not do, nothing falls asleep', () => {
  const byHand = member({ state: 'asleep', origin: 'spawned' })
  const idle = member({ origin: 'assembly', idleMs: 1e6 })
  const decision = scale(snapshot({ isStable: false, others: 9, instances: [byHand, idle] }))
  expect(decision).toMatchObject({ wake: [byHand.id], hibernate: [] })
})

describe('spares', () => {
  test('are kept in number, those that start are counted, and one in quarantine is not made up for', () => {
    expect(scale(snapshot({ warmPool: 2 })).spawnSpares).toBe(2)
    expect(scale(snapshot({ warmPool: 2, instances: [spare(), spare({ state: 'starting' })] })).spawnSpares).toBe(0)
    expect(scale(snapshot({ warmPool: 1, instances: [spare({ state: 'quarantined' })] })).spawnSpares).toBe(0)
  })
  test('of a version that keeps none go, and so do those that are too many', () => {
    const [warm, cold] = [spare(), spare({ state: 'starting' })]
    expect(scale(snapshot({ keepsWarm: false, warmPool: 2, instances: [warm] })).stop).toEqual([warm.id])
    expect(scale(snapshot({ warmPool: 1, instances: [warm, cold] })).stop).toEqual([cold.id])
  })
})

test('whatever it sees: bounds hold, nobody is told two things, and what it asks for is enough', () => {
  const instance = fc.record({
    role: fc.constantFrom('member', 'spare'),
    origin: fc.constantFrom('spawned', 'population', 'warm', 'assembly'),
    state: fc.constantFrom('starting', 'ready', 'asleep', 'quarantined', 'leaving'),
    busy: fc.nat(2),
    required: fc.nat(2),
    idleMs: fc.constantFrom(0, 500, 1e6),
  })
  const any = fc.record({
    isStable: fc.boolean(),
    keepsWarm: fc.boolean(),
    min: fc.nat(3),
    max: fc.integer({ min: 3, max: 8 }),
    slots: fc.integer({ min: 1, max: 4 }),
    warmPool: fc.nat(3),
    idleTtlMs: fc.constantFrom(undefined, 1000),
    queued: fc.nat(40),
    others: fc.nat(10),
    room: fc.nat(20),
    instances: fc.array(instance, { maxLength: 12 }),
  })
  fc.assert(
    fc.property(any, (drawn) => {
      const seen = snapshot({
        ...drawn,
        instances: drawn.instances.map((one) => member(one as Partial<ScaleInstance>)),
      })
      const decision = scale(seen)
      const members = seen.instances.filter((one) => one.role === 'member' && one.state !== 'leaving')
      const told = [...decision.wake, ...decision.hibernate, ...decision.stop]
      expect(new Set(told).size).toBe(told.length)
      expect(Math.min(decision.spawn, decision.promote, decision.spawnSpares)).toBeGreaterThanOrEqual(0)
      expect(decision.spawn + decision.spawnSpares).toBeLessThanOrEqual(seen.room)
      if (decision.spawn + decision.promote > 0) {
        expect(members.length + decision.spawn + decision.promote).toBeLessThanOrEqual(seen.max)
      }
      const busyOnes = seen.instances.filter((one) => one.busy > 0).map((one) => one.id)
      expect(decision.hibernate.filter((id) => busyOnes.includes(id))).toEqual([])
      // Growing and shrinking at once would never come to rest.
      if (decision.wake.length + decision.spawn + decision.promote > 0) expect(decision.hibernate).toEqual([])
      expect(isNothing(decision)).toBe(told.length + decision.spawn + decision.promote + decision.spawnSpares === 0)
    }),
    { numRuns: 2000 },
  )
})
