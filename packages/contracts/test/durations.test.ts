import { Duration, durationMs } from '@hypercode/contracts'
import { Value } from '@sinclair/typebox/value'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const unit = fc.constantFrom(...(Object.keys(UNITS) as (keyof typeof UNITS)[]))

test('a number and a unit', () => {
  for (const [text, ms] of [
    ['1ms', 1],
    ['500ms', 500],
    ['2s', 2000],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
  ] as const)
    expect([text, Value.Check(Duration, text), durationMs(text)]).toEqual([text, true, ms])
})

test('whatever the schema lets through has a length that every clock can take', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 999_999_999 }), unit, (count, name) => {
      const text = `${count}${name}`
      if (!Value.Check(Duration, text)) return
      const ms = durationMs(text)
      expect(ms).toBe(count * UNITS[name])
      // Added to now it must still be an instant for Postgres and for JavaScript.
      expect(ms).toBeLessThan(100 * 365 * UNITS.d)
    }),
  )
})

test('days to milliseconds: what people write is let through', () => {
  for (const text of ['999999999ms', '86400s', '1440m', '8760h', '365d', '3650d'])
    expect([text, Value.Check(Duration, text)]).toEqual([text, true])
})

describe('refused, by the schema and by durationMs alike', () => {
  const wrong = [
    '',
    '0s',
    '00s',
    '-1s',
    '+1s',
    '1.5s',
    '1e3s',
    '01s',
    '1',
    's',
    '1 s',
    ' 1s',
    '1s ',
    '1s\n',
    '1S',
    '1sec',
    '1h30m',
    '٣s',
    'Infinitys',
    'NaNms',
    '9999999999ms',
    '999999999d',
  ]
  for (const text of wrong)
    test(JSON.stringify(text), () => {
      expect(Value.Check(Duration, text)).toBe(false)
      expect(() => durationMs(text)).toThrow('not a duration')
    })
  test('any other text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!Value.Check(Duration, text))
        expect(() => durationMs(text)).toThrow('not a duration')
      }),
    )
  })
})
