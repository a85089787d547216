import fc from 'fast-check'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { canonicalJson, hashOf, toJson } from '../src/json.ts'
import type { Jsonified } from '../src/json.ts'

describe('JSON', () => {
  test('equal values have equal text and hash, whatever the order of their keys', () => {
    const reversed = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(reversed)
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([key, item]) => [key, reversed(item)]),
      )
    }
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(canonicalJson(reversed(value))).toBe(canonicalJson(value))
        return hashOf(reversed(value)) === hashOf(value)
      }),
    )
  })

  test('a value is what a reader of its text sees', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const { text, value: seen, bytes } = toJson(value)
        expect(JSON.stringify(seen)).toBe(text)
        return bytes === Buffer.byteLength(text)
      }),
    )
    expect(toJson(undefined).value).toBeNull()
    expect(() => toJson(() => 1)).toThrow('function is not JSON')
  })

  test('the types say what JSON does', () => {
    expectTypeOf<Jsonified<{ at: Date; n?: number; m: 1 | undefined; f: () => void }>>().toEqualTypeOf<{
      at: string
      n?: number
      m: 1 | undefined
    }>()
    expectTypeOf<Jsonified<readonly [1, 'a', undefined]>>().toEqualTypeOf<readonly [1, 'a', null]>()
    expectTypeOf<Jsonified<string | undefined>>().toEqualTypeOf<string | null>()
    expectTypeOf<Jsonified<unknown>>().toEqualTypeOf<unknown>()
  })
})
