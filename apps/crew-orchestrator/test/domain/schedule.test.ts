import type { ScheduleSpec } from '@hypercode/contracts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { calendarOf, decideFiring, dueAt } from '../../src/domain/schedule.ts'
import type { ScheduleFacts } from '../../src/domain/schedule.ts'

const instants = (cron: string, timeZone: string, after: string, count: number): string[] => {
  const calendar = calendarOf({ cron, timeZone })
  if (!('next' in calendar)) throw new Error(calendar.message)
  const found: string[] = []
  for (let at = new Date(after); found.length < count; ) {
    at = calendar.next(at)
    found.push(at.toISOString().slice(5, 16))
  }
  return found
}

describe('the instants of a cron expression', () => {
  test.each([
    [
      'every day at noon in summer and winter time',
      '0 12 * * *',
      '2026-03-27T12:00Z',
      ['03-28T11:00', '03-29T10:00', '03-30T10:00'],
    ],
    [
      'in the gap of the spring: at its end, once',
      '30 2 * * *',
      '2026-03-28T00:00Z',
      ['03-28T01:30', '03-29T01:00', '03-30T00:30'],
    ],
    [
      'in the hour that comes twice in autumn: the first time alone',
      '30 2 * * *',
      '2026-10-24T00:00Z',
      ['10-24T00:30', '10-25T00:30', '10-26T01:30'],
    ],
    [
      'every hour through the gap: no hour twice, none left out',
      '0 * * * *',
      '2026-03-28T23:30Z',
      ['03-29T00:00', '03-29T01:00', '03-29T02:00'],
    ],
    [
      'every hour through the hour that comes twice',
      '0 * * * *',
      '2026-10-24T22:30Z',
      ['10-24T23:00', '10-25T00:00', '10-25T01:00', '10-25T02:00'],
    ],
  ])('%s', (_, cron, after, expected) => {
    expect(instants(cron, 'Europe/Berlin', after, expected.length)).toEqual(expected)
  })

  test('follow the zone, also where it is half an hour off', () => {
    expect(instants('0 9 * * 1', 'Asia/Kolkata', '2026-01-01T00:00Z', 2)).toEqual(['01-05T03:30', '01-12T03:30'])
    expect(instants('30 1 * * *', 'America/New_York', '2026-10-31T12:00Z', 2)).toEqual(['11-01T05:30', '11-02T06:30'])
  })

  test.each([
    ['61 * * * *', 'UTC', 'cron'],
    ['0 0 30 2 *', 'UTC', 'cron'],
    ['* * * * * *', 'UTC', 'cron'],
    ['0 0 * * *', 'Mars/Base', 'timeZone'],
  ])('%s in %s is refused', (cron, timeZone, fault) => {
    expect(calendarOf({ cron, timeZone })).toMatchObject({ fault })
  })
})

test('jitter puts an instant off by less than it is, and by the same for everybody', () => {
  fc.assert(
    fc.property(fc.uuid(), fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }), (id, at) => {
      const due = dueAt(id, at, { jitter: '10m' }).getTime() - at.getTime()
      expect(due).toBeGreaterThanOrEqual(0)
      expect(due).toBeLessThan(600_000)
      expect(dueAt(id, at, { jitter: '10m' })).toEqual(dueAt(id, at, { jitter: '10m' }))
      expect(dueAt(id, at, {})).toEqual(at)
    }),
  )
  const spread = Array.from({ length: 200 }, (_, n) => dueAt(`${n}`, new Date(0), { jitter: '100s' }).getTime())
  expect(Math.max(...spread) - Math.min(...spread)).toBeGreaterThan(80_000)
})

describe('what a schedule does', () => {
  const MINUTE = 60_000
  const at = (minutes: number, ms = 0): Date => new Date(Date.UTC(2026, 5, 1) + minutes * MINUTE + ms)
  const spec = (changes: Partial<ScheduleSpec> = {}): ScheduleSpec => ({
    name: 's',
    crew: 'c',
    cron: '* * * * *',
    ...changes,
  })
  const decide = (changes: Partial<ScheduleFacts>) => {
    const calendar = calendarOf(changes.spec ?? spec())
    if (!('next' in calendar)) throw new Error('no calendar')
    const facts = {
      spec: spec(),
      now: at(10),
      nextAt: at(10),
      fireAt: at(10),
      bufferedAt: null,
      isBusy: false,
      ...changes,
    }
    return decideFiring(facts, calendar.next)
  }

  test('it begins a mission at its instant and goes on to the next', () => {
    expect(decide({})).toEqual({ start: at(10), cancel: false, bufferedAt: null, nextAt: at(11), skipped: false })
  })
  test('it does nothing before', () => {
    expect(decide({ now: at(10, -1) })).toMatchObject({ start: null, nextAt: at(10), skipped: false })
  })
  test.each([
    ['skip', { start: null, skipped: true, cancel: false, bufferedAt: null }],
    ['bufferOne', { start: null, skipped: false, cancel: false, bufferedAt: at(10) }],
    ['allowAll', { start: at(10), skipped: false, cancel: false, bufferedAt: null }],
    ['cancelOther', { start: at(10), skipped: false, cancel: true, bufferedAt: null }],
  ] as const)('while the mission before is open, with overlap %s', (overlap, expected) => {
    expect(decide({ isBusy: true, spec: spec({ overlap }) })).toEqual({ ...expected, nextAt: at(11) })
  })
  test('what is buffered begins when the one before has ended, and no second one is buffered', () => {
    const buffered = { bufferedAt: at(8), spec: spec({ overlap: 'bufferOne' as const }) }
    expect(decide({ ...buffered, isBusy: true })).toMatchObject({ start: null, bufferedAt: at(8), skipped: true })
    expect(decide(buffered)).toMatchObject({ start: at(8), bufferedAt: null, nextAt: at(10) })
  })
  test('instants that were missed are made up for within the catch-up time, one after the other, and left out beyond', () => {
    const late = { spec: spec({ catchUp: '5m' }), now: at(14) }
    expect(decide(late)).toMatchObject({ start: at(10), nextAt: at(11) })
    expect(decide({ ...late, now: at(15, 1) })).toMatchObject({ start: null, skipped: true, nextAt: at(11) })
    expect(decide({ ...late, now: at(1000, 1) })).toMatchObject({ start: null, skipped: true, nextAt: at(996) })
  })
})
