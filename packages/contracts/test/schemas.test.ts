import * as contracts from '@hypercode/contracts'
import type { Route } from '@hypercode/contracts'
import { KindGuard } from '@sinclair/typebox'
import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { describe, expect, test } from 'vitest'

const { ROUTES, StringEnum, StepName } = contracts

interface Place {
  readonly at: string
  readonly schema: TSchema
}

/** Every schema of the package with a name, and all that they are made of. */
function everySchema(): Place[] {
  const named = Object.entries<unknown>(contracts)
    .filter(([, value]) => KindGuard.IsSchema(value))
    .map(([at, schema]) => ({ at, schema: schema as TSchema }))
  const ofRoutes = Object.values<Route>(ROUTES).flatMap((route) => {
    const parts = { params: route.params, query: route.query, headers: route.headers, body: route.body }
    const own = Object.entries(parts).flatMap(([part, schema]) =>
      schema === undefined ? [] : [{ at: `${route.operationId} ${part}`, schema }],
    )
    const answers = Object.entries(route.answers).flatMap(([status, schema]) =>
      schema === null ? [] : [{ at: `${route.operationId} ${status}`, schema }],
    )
    return [...own, ...answers]
  })
  return [...named, ...ofRoutes].flatMap(within)
}

function within({ at, schema }: Place): Place[] {
  const inner = [
    ...Object.entries<TSchema>(schema['properties'] ?? {}).map(([name, part]) => ({
      at: `${at}.${name}`,
      schema: part,
    })),
    ...Object.entries<TSchema>(schema['patternProperties'] ?? {}).map(([name, part]) => ({
      at: `${at}/${name}/`,
      schema: part,
    })),
    ...[schema['items'], ...(schema['anyOf'] ?? []), ...(schema['allOf'] ?? [])]
      .filter((part): part is TSchema => typeof part === 'object' && part !== null)
      .map((part) => ({ at: `${at}[]`, schema: part })),
  ]
  return [{ at, schema }, ...inner.flatMap(within)]
}

const all = everySchema()

/** Open on purpose: headers come with many others, and a token may carry claims that we do not read. */
const OPEN = /^\w+ headers$|^TokenClaims$/

describe('closed means closed', () => {
  const objects = all.filter(({ at, schema }) => schema['properties'] !== undefined && !OPEN.test(at))
  test('every object says so', () => {
    expect(objects.length).toBeGreaterThan(100)
    expect(objects.filter(({ schema }) => schema['additionalProperties'] !== false).map(({ at }) => at)).toEqual([])
  })

  test('every record whose keys have a form says so', () => {
    const forms = ({ schema }: Place): string[] => Object.keys(schema['patternProperties'] ?? {})
    const records = all.filter((place) => forms(place).some((form) => form !== '^(.*)$'))
    expect(records.length).toBeGreaterThan(3)
    expect(records.filter(({ schema }) => schema['additionalProperties'] !== false).map(({ at }) => at)).toEqual([])
  })

  test.each(['Team', '', '-team', 'a b', 'é', 'x'.repeat(64), '__proto__x'])('no label is named %j', (name) => {
    expect(Value.Check(contracts.Labels, { [name]: 'a' })).toBe(false)
    expect(Value.Check(contracts.Labels, { team: 'a', 'hypercode.dev/zone_1': 'b' })).toBe(true)
  })

  test('a checker refuses what nobody asked for', () => {
    for (const { at, schema } of objects) {
      const faults = [...Value.Errors(schema, { surprise: 1, __proto__: null })]
      expect([at, faults.some(({ path }) => path === '/surprise')]).toEqual([at, true])
    }
  })
})

describe('what comes from outside has a bound', () => {
  const incoming = Object.values<Route>(ROUTES).flatMap((route) =>
    Object.entries({ params: route.params, query: route.query, headers: route.headers, body: route.body }).flatMap(
      ([part, schema]) => (schema === undefined ? [] : within({ at: `${route.operationId} ${part}`, schema })),
    ),
  )
  const endsAndIsFinite = (pattern: string): boolean =>
    /^\^.*\$$/.test(pattern) && !/[*+]|\{\d+,\}/.test(pattern.replace(/\[[^\]]*\]/g, ''))
  /** A pattern that ends and repeats nothing without limit bounds the text by itself. */
  const isBounded = (schema: TSchema): boolean =>
    schema['maxLength'] !== undefined ||
    schema['enum'] !== undefined ||
    schema['const'] !== undefined ||
    endsAndIsFinite(String(schema['pattern'] ?? ''))

  test('texts', () => {
    const texts = incoming.filter(({ schema }) => schema['type'] === 'string')
    expect(texts.length).toBeGreaterThan(50)
    expect(texts.filter(({ schema }) => !isBounded(schema)).map(({ at }) => at)).toEqual([])
  })
  test('lists', () => {
    const lists = incoming.filter(({ schema }) => schema['type'] === 'array')
    expect(lists.length).toBeGreaterThan(5)
    expect(lists.filter(({ schema }) => schema['maxItems'] === undefined).map(({ at }) => at)).toEqual([])
  })
})

describe('patterns', () => {
  const patterns = [
    ...new Set(
      all
        .flatMap(({ schema }) => [schema['pattern'], ...Object.keys(schema['patternProperties'] ?? {})])
        .filter((p) => typeof p === 'string'),
    ),
  ] as string[]

  test('are good with the u flag, with which validators compile them', () => {
    expect(patterns.length).toBeGreaterThan(8)
    for (const pattern of patterns) expect(new RegExp(pattern, 'u').source).toBe(new RegExp(pattern).source)
  })

  test('take no time for hostile text', () => {
    const texts = ['a', 'a-', 'a.', '1', '.', '=', '[', 'a=', '0.0'].flatMap((piece) => [
      `${piece.repeat(20_000)}\0`,
      piece.repeat(20_000),
    ])
    for (const pattern of patterns) {
      const rule = new RegExp(pattern, 'u')
      const from = performance.now()
      for (const text of texts) rule.test(text)
      expect([pattern, performance.now() - from < 250]).toEqual([pattern, true])
    }
  })

  test('match from end to end, with no line break after it', () => {
    const anchored = patterns.filter((pattern) => pattern !== '^(.*)$')
    expect(anchored.filter((pattern) => !(pattern.startsWith('^') && pattern.endsWith('$')))).toEqual([])
    expect(anchored.filter((pattern) => new RegExp(pattern, 'u').test('a=b\n') && pattern !== '^[^=]+=.*$')).toEqual([])
  })
})

test('a schema with an id is one schema, so that documents can refer to it', () => {
  const byId = new Map<string, string>()
  for (const { at, schema } of all) {
    if (schema.$id === undefined) continue
    const text = JSON.stringify(schema)
    expect([at, byId.get(schema.$id) ?? text]).toEqual([at, text])
    byId.set(schema.$id, text)
  }
  expect(byId.size).toBeGreaterThan(40)
})

test('a word of an enum fits, and nothing else', () => {
  const schema = StringEnum(['one', 'two'])
  expect(['one', 'two', 'three', '', 1, null, ['one']].map((value) => Value.Check(schema, value))).toEqual([
    true,
    true,
    ...Array<boolean>(5).fill(false),
  ])
})

test('a step may be called nearly anything but a part of a path that URL parsers take away', () => {
  for (const good of ['plan', 'a/b', 'edit [2] #1', '...', '.env', 'a..b', '../x'])
    expect([good, Value.Check(StepName, good)]).toEqual([good, true])
  for (const bad of ['', '.', '..', 'a\n', 'a?b', 'ü', '%2e%2e'])
    expect([bad, Value.Check(StepName, bad)]).toEqual([bad, false])
})
