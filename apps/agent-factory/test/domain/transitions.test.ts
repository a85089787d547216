import { LIFECYCLE_MOVES, canMove, isTerminal } from '@hypercode/base-agent/lifecycle'
import { LIFECYCLE } from '@hypercode/contracts'
import type { Crash, Lifecycle } from '@hypercode/contracts'
import { describe, expect, test } from 'vitest'
import { afterCrash, intoQuarantine, intoTheGround, startLife, walk } from '../../src/domain/life.ts'
import { answerRequest } from '../../src/domain/requests.ts'
import type { RequestName } from '../../src/domain/requests.ts'
import { buried, crashed, ended, launched, leaving, parked, passed, started } from '../../src/domain/transitions.ts'
import { NOW, instanceOf } from './instance-of.ts'

const crashesAgo = (...agesMs: number[]): Crash[] =>
  agesMs.map((ageMs) => ({ at: new Date(NOW.getTime() - ageMs).toISOString(), reason: 'exited', exitCode: 1 }))
const exit = { reason: 'exited', exitCode: 1 } as const

describe('lives', () => {
  test('the table is what decides: every way is made of its moves, or begins a new life after an end', () => {
    expect(walk('provisioning', 'warming', 'ready', 'draining', 'stopped', 'provisioning')).toBe('provisioning')
    expect(() => walk('ready', 'provisioning')).toThrow('lifecycle cannot move from ready to provisioning')
    expect(() => walk('warming', 'hibernating')).toThrow('from warming to hibernating')
    expect(() => walk('stopped', 'ready')).toThrow('it is never left')
  })

  test('from wherever a process can be lost there is a way on, into quarantine, and out', () => {
    const alive: Lifecycle[] = ['provisioning', 'warming', 'ready', 'hibernating', 'unhealthy', 'failed', 'stopped']
    for (const from of alive) {
      expect(startLife(afterCrash(from))).toBe('provisioning')
      expect(intoQuarantine(from)).toBe('quarantined')
    }
    for (const from of LIFECYCLE) expect(isTerminal(intoTheGround(from))).toBe(true)
    expect(Object.keys(LIFECYCLE_MOVES)).toHaveLength(LIFECYCLE.length)
  })
})

describe('crashes', () => {
  const next = (crashes: Crash[], spec: object = {}) => crashed(instanceOf({ crashes }, { ...spec }), exit, 'gone')

  test('are answered by a start with back-off that grows with those of late', () => {
    expect(next([])).toMatchObject({ lifecycle: 'unhealthy', launch: 'gone', dueInMs: 500, ready: 'no' })
    expect(next(crashesAgo(1000))).toMatchObject({ dueInMs: 1000 })
    expect(next(crashesAgo(1000, 2000, 3000))).toMatchObject({ dueInMs: 4000 })
    expect(next(crashesAgo(61_000, 62_000, 63_000))).toMatchObject({ dueInMs: 500 })
    const restart = { initialInterval: '10s', maxInterval: '15s' }
    expect(next(crashesAgo(1000), { restart })).toMatchObject({ dueInMs: 15_000 })
  })

  test('end in quarantine when they are too many within the window', () => {
    const last = next(crashesAgo(1000, 2000, 3000, 59_000))
    expect(last).toMatchObject({ lifecycle: 'quarantined', lastLines: 'keep', event: { type: 'instance.quarantined' } })
    expect(last.reason).toBe('Crashed 5 times within 60 s, the last time: it ended by itself (exit code 1).')
    expect(last.crashes).toHaveLength(5)
    expect(next(crashesAgo(1000, 2000, 3000, 60_001)).lifecycle).toBe('unhealthy')
  })

  test('are kept, up to a bound, newest first', () => {
    const many = next(crashesAgo(...Array.from({ length: 30 }, (_, index) => 100_000 + index)))
    expect(many.crashes).toHaveLength(20)
    expect(many.crashes?.[0]).toEqual({ at: NOW.toISOString(), ...exit })
  })

  test('end the instance when its policy says so, and its credential only when nothing runs any more', () => {
    expect(next([], { restart: { policy: 'never' } })).toMatchObject({
      desired: 'stopped',
      isOver: true,
      lifecycle: 'stopped',
    })
    const clean = { reason: 'exited', exitCode: 0 } as const
    const onFailure = instanceOf({}, { restart: { policy: 'on-failure' } })
    expect(crashed(onFailure, clean, 'gone')).toMatchObject({ isOver: true })
    expect(crashed(onFailure, exit, 'gone').isOver).toBeUndefined()
    const kept = crashed(instanceOf({}, { restart: { policy: 'never' } }), exit, 'keep')
    expect(kept).toMatchObject({ desired: 'stopped', launch: 'keep' })
    expect(kept.isOver).toBeUndefined()
  })
})

describe('the way of an instance', () => {
  const launch = { launchId: 'l', host: 'here', secretHash: Buffer.alloc(0) }
  test('from its start to its first beat', () => {
    expect(launched(instanceOf({ lifecycle: 'failed' }), launch)).toMatchObject({
      lifecycle: 'provisioning',
      ready: 'no',
    })
    const handle = instanceOf().handle
    if (handle === null) throw new Error('it has one')
    expect(started(instanceOf({ lifecycle: 'provisioning' }), handle)).toEqual({ lifecycle: 'warming', handle })
    expect(passed(instanceOf({ lifecycle: 'warming' }))).toMatchObject({
      lifecycle: 'ready',
      ready: 'now',
      event: { type: 'instance.ready' },
    })
  })
  test('of a spare ends at warm', () => {
    const warm = passed(instanceOf({ lifecycle: 'warming', role: 'spare' }))
    expect(warm).toMatchObject({ lifecycle: 'warming', ready: 'now' })
    expect(warm.event).toBeUndefined()
  })
  test('out of sleep leads to ready and nowhere else', () => {
    const asleep = instanceOf({ lifecycle: 'hibernating' })
    expect(launched(asleep, launch).lifecycle).toBe('hibernating')
    expect(passed(asleep).lifecycle).toBe('ready')
    expect(ended(instanceOf({ lifecycle: 'hibernating', desired: 'hibernating' }))).toMatchObject({
      event: { type: 'instance.hibernated' },
    })
  })
  test('to its end', () => {
    expect(leaving(instanceOf())?.lifecycle).toBe('draining')
    expect(leaving(instanceOf({ lifecycle: 'draining' }))).toBeUndefined()
    expect(ended(instanceOf({ lifecycle: 'draining', desired: 'stopped' }))).toMatchObject({
      lifecycle: 'stopped',
      isOver: true,
    })
    expect(ended(instanceOf({ lifecycle: 'draining' }))).toMatchObject({ lifecycle: 'stopped', launch: 'gone' })
    expect(buried(instanceOf({ lifecycle: 'quarantined' }))).toMatchObject({ lifecycle: 'stopped', isOver: true })
    expect(parked(instanceOf())).toMatchObject({ lifecycle: 'stopped', launch: 'gone' })
    expect(parked(instanceOf({ lifecycle: 'hibernating' })).lifecycle).toBe('hibernating')
  })
})

describe('requests', () => {
  const ask = (name: RequestName, lifecycle: Lifecycle, more: object = {}) =>
    answerRequest(name, { lifecycle, desired: 'running', role: 'member', isOver: false, ...more })
  const isMove = (from: Lifecycle, to: Lifecycle): boolean => from === to || canMove(from, to)

  test.for(['stop', 'restart', 'kill', 'hibernate', 'wake', 'release'] as const)(
    '%s moves along the table from every state, or is refused in words',
    (name) => {
      const faults = LIFECYCLE.filter((from) => {
        const answer = ask(name, from)
        if ('refused' in answer) return !/^[A-Z].*\.$/.test(answer.refused)
        return answer.change !== undefined && !isMove(from, answer.change.lifecycle)
      })
      expect(faults).toEqual([])
    },
  )
  test('that are true already change nothing', () => {
    expect(ask('stop', 'draining', { desired: 'stopped' })).toEqual({ change: undefined })
    expect(ask('stop', 'stopped', { isOver: true })).toEqual({ change: undefined })
    expect(ask('hibernate', 'hibernating', { desired: 'hibernating' })).toEqual({ change: undefined })
    expect(ask('wake', 'hibernating')).toEqual({ change: undefined })
  })
  test.for<[RequestName, Lifecycle, object, string]>([
    ['wake', 'ready', {}, 'does not sleep'],
    ['release', 'ready', {}, 'not in quarantine'],
    ['restart', 'quarantined', {}, 'in quarantine'],
    ['restart', 'hibernating', {}, 'sleeps'],
    ['kill', 'ready', { desired: 'stopped' }, 'is ending'],
    ['hibernate', 'warming', {}, 'cannot move from warming to hibernating'],
    ['hibernate', 'ready', { role: 'spare' }, 'spare'],
  ])('%s of a %s one is refused: %j', ([name, lifecycle, more, words]) => {
    expect(ask(name, lifecycle, more)).toMatchObject({ refused: expect.stringContaining(words) })
  })
})
