import { makeKeys, parseBell, parseHints } from '@hypercode/events'
import type { Hint, QueueRef } from '@hypercode/events'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const hint: fc.Arbitrary<Hint> = fc.oneof(
  fc.record(
    {
      kind: fc.constant('mission' as const),
      tenantId: fc.uuid(),
      missionId: fc.uuid(),
      seq: fc.nat(),
      correlationId: fc.string(),
      ended: fc.constant(true as const),
    },
    { requiredKeys: ['kind', 'tenantId', 'missionId', 'seq', 'correlationId'] },
  ),
  fc.record({ kind: fc.constant('agents' as const), tenantId: fc.uuid(), seq: fc.nat() }),
)

/** What is not one of ours, each for a reason of its own. */
const STRANGERS: readonly unknown[] = [
  null,
  7,
  'mission',
  [],
  {},
  { kind: 'mission', tenantId: 't', seq: 1, correlationId: 'c' },
  { kind: 'mission', tenantId: 't', missionId: 'm', seq: 1 },
  { kind: 'mission', tenantId: 't', missionId: 'm', seq: '1', correlationId: 'c' },
  { kind: 'mission', tenantId: 't', missionId: 'm', seq: 1.5, correlationId: 'c' },
  { kind: 'mission', tenantId: 't', missionId: 'm', seq: 2 ** 60, correlationId: 'c' },
  { kind: 'mission', tenantId: 't', missionId: 'm', seq: 1, correlationId: 'c', ended: 'yes' },
  { kind: 'mission', tenantId: 7, missionId: 'm', seq: 1, correlationId: 'c' },
  { kind: 'mission', tenantId: 't', missionId: { $gt: '' }, seq: 1, correlationId: 'c' },
  { kind: 'agents', tenantId: 't', seq: null },
  { kind: 'agents', seq: 1 },
  { kind: 'agent', tenantId: 't', seq: 1 },
  { tenantId: 't', seq: 1 },
]

const bad = fc.oneof(
  fc.constant(undefined),
  fc.string(),
  fc.constantFrom('', '[', 'null', '{}', '{"length":1}', '"[]"', '['.repeat(10_000), '1e999', '[,]', 'NaN'),
  fc.json().filter((text) => !text.startsWith('[')),
)

describe('hints', () => {
  test('come back as they went in', () => {
    fc.assert(
      fc.property(fc.array(hint), (hints) => {
        expect(parseHints(JSON.stringify(hints))).toEqual(hints)
      }),
    )
  })
  test('are found among strangers, in their order', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(hint, fc.constantFrom(...STRANGERS))), (mixed) => {
        const ours = mixed.filter((entry) => !STRANGERS.includes(entry))
        expect(parseHints(JSON.stringify(mixed))).toEqual(ours)
      }),
    )
  })
  for (const stranger of STRANGERS)
    test(`${JSON.stringify(stranger)} is not one`, () => {
      expect(parseHints(JSON.stringify([stranger]))).toEqual([])
    })
  test('of anything else there are none', () => {
    fc.assert(
      fc.property(bad, (text) => {
        expect(parseHints(text)).toEqual([])
      }),
    )
  })
})

describe('bells', () => {
  const queue: fc.Arbitrary<QueueRef> = fc.record({ tenantId: fc.uuid(), queue: fc.string() })
  test('come back as they went in', () => {
    fc.assert(
      fc.property(fc.array(queue), (queues) => {
        expect(parseBell(JSON.stringify(queues))).toEqual(queues)
      }),
    )
  })
  test('name only what has a tenant and a queue', () => {
    const mixed = [
      null,
      1,
      'x',
      [],
      {},
      { tenantId: 't' },
      { queue: 'q' },
      { tenantId: 1, queue: 'q' },
      { tenantId: 't', queue: 'q' },
    ]
    expect(parseBell(JSON.stringify(mixed))).toEqual([{ tenantId: 't', queue: 'q' }])
  })
  test('of anything else there are none', () => {
    fc.assert(
      fc.property(bad, (text) => {
        expect(parseBell(text)).toEqual([])
      }),
    )
  })
})

test('all keys of a shard share one hash tag, and a prefix sets them apart', () => {
  const keys = makeKeys('mine', 3)
  const all = [keys.events, keys.bell, keys.rate('somebody', 12)]
  for (const key of all) expect(key).toMatch(/^mine:\{s3\}:/)
  expect(new Set(all).size).toBe(3)
  expect(makeKeys().events).toBe('hc:{s0}:events')
})
