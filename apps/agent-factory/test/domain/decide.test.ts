import { describe, expect, test } from 'vitest'
import { decide } from '../../src/domain/decide.ts'
import type { Decision } from '../../src/domain/decide.ts'
import type { FactoryInstance } from '../../src/domain/factory-instance.ts'
import type { Status } from '../../src/drivers/driver.ts'
import { NOW, instanceOf } from './instance-of.ts'

const RUNNING: Status = { state: 'running' }
const ENDED: Status = { state: 'ended', exit: { reason: 'exited', exitCode: 1, at: NOW } }
const UNKNOWN: Status = { state: 'unknown' }
const FINE = { canJudgeSilence: true }
const NONE = { launchId: null, handle: null } as const

const what = (changes: Partial<FactoryInstance>, status: Status = RUNNING, weather = FINE): Decision['do'] =>
  decide(instanceOf(changes), status, weather).do

describe('without a process', () => {
  test.for<[string, Partial<FactoryInstance>, Decision['do']]>([
    ['a new one is started', { lifecycle: 'provisioning' }, 'launch'],
    ['one that has failed waits for its time', { lifecycle: 'failed', dueInMs: 10 }, 'wait'],
    ['and is started then', { lifecycle: 'failed', dueInMs: 0 }, 'launch'],
    ['one in quarantine stays there', { lifecycle: 'quarantined' }, 'wait'],
    ['one that sleeps stays asleep', { lifecycle: 'hibernating', desired: 'hibernating' }, 'wait'],
    ['one that is woken is started', { lifecycle: 'hibernating', desired: 'running' }, 'launch'],
    ['one that shall go is buried', { lifecycle: 'failed', desired: 'stopped' }, 'bury'],
  ])('%s', ([, changes, expected]) => expect(what({ ...NONE, ...changes })).toBe(expected))
})

describe('with a process', () => {
  test.for<[string, Partial<FactoryInstance>, Status, Decision['do']]>([
    ['a start that was not heard of is gone on with', { lifecycle: 'provisioning', handle: null }, UNKNOWN, 'adopt'],
    ['one that cannot be asked is left alone', {}, UNKNOWN, 'wait'],
    ['one that is well is left alone', {}, RUNNING, 'wait'],
    ['one that has ended by itself has crashed', {}, ENDED, 'crashed'],
    ['one that has ended as it was told has not', { lifecycle: 'draining' }, ENDED, 'ended'],
    ['nor has one that was given up', { lifecycle: 'unhealthy' }, ENDED, 'ended'],
    ['one that drains is stopped', { lifecycle: 'draining' }, RUNNING, 'stop'],
    ['one that shall go is stopped', { desired: 'stopped' }, RUNNING, 'stop'],
    ['what is left of one that was given up is killed', { lifecycle: 'failed' }, RUNNING, 'kill'],
    ['and of one in quarantine', { lifecycle: 'quarantined' }, RUNNING, 'kill'],
    ['one that goes to sleep is stopped', { lifecycle: 'hibernating', sinceStartMs: null }, RUNNING, 'stop'],
    ['and has not crashed then', { lifecycle: 'hibernating', sinceStartMs: null }, ENDED, 'ended'],
    [
      'one that is being woken can crash',
      { lifecycle: 'hibernating', isReady: false, sinceStartMs: 10 },
      ENDED,
      'crashed',
    ],
  ])('%s', ([, changes, status, expected]) => expect(what(changes, status)).toBe(expected))
})

describe('readiness', () => {
  const starting = { lifecycle: 'warming', isReady: false } as const
  test('comes with the first passing beat since the start, and not with the registration', () => {
    expect(what({ ...starting, vitals: undefined })).toBe('wait')
    expect(what({ ...starting, vitals: { health: 'unknown', isBeating: true, loopLagMs: 0 } })).toBe('wait')
    expect(what({ ...starting, vitals: { health: 'passing', isBeating: false, loopLagMs: 0 } })).toBe('wait')
    expect(what(starting)).toBe('pass')
  })
  test('that stays away is a crash, told from one that never registered', () => {
    const late = instanceOf({ ...starting, sinceStartMs: 30_001, vitals: undefined })
    expect(decide(late, RUNNING, FINE)).toMatchObject({
      do: 'replace',
      crash: { reason: 'not_ready', detail: expect.stringContaining('not register') },
    })
    const mute = instanceOf({
      ...starting,
      sinceStartMs: 30_001,
      vitals: { health: 'unknown', isBeating: true, loopLagMs: 0 },
    })
    expect(decide(mute, RUNNING, FINE)).toMatchObject({ crash: { detail: expect.stringContaining('did not beat') } })
  })
})

describe('the watchdog', () => {
  const vitals = (changes: object) => ({
    vitals: { health: 'passing' as const, isBeating: true, loopLagMs: 0, ...changes },
  })
  test('replaces what hangs, from its limit on, and judges no beat of long ago', () => {
    expect(what(vitals({ loopLagMs: 30_000 }))).toBe('wait')
    expect(decide(instanceOf(vitals({ loopLagMs: 30_001 })), RUNNING, FINE)).toMatchObject({
      crash: { reason: 'hung' },
    })
    expect(what(vitals({ loopLagMs: 90_000, isBeating: false }))).toBe('wait')
  })
  test('replaces what is silent, but not while the platform may be what is silent', () => {
    const silent = vitals({ health: 'critical', isBeating: false })
    expect(decide(instanceOf(silent), RUNNING, FINE)).toMatchObject({ crash: { reason: 'silent' } })
    expect(what(silent, RUNNING, { canJudgeSilence: false })).toBe('wait')
    expect(what(vitals({ health: 'warning' }))).toBe('wait')
  })
  test('looks after a warm spare too', () => {
    const spare = { role: 'spare', lifecycle: 'warming', isReady: true } as const
    expect(what(spare)).toBe('wait')
    expect(what({ ...spare, ...vitals({ loopLagMs: 60_000 }) })).toBe('replace')
  })
})
