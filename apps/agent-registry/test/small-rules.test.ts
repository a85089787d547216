import { newId } from '@hypercode/contracts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mayManage } from '../src/domain/authority.ts'
import { judgeBeatOf, latestBeat } from '../src/domain/beat.ts'
import type { Beat, BeatState } from '../src/domain/beat.ts'
import { decodeCursor, encodeCursor } from '../src/domain/cursor.ts'
import { etagOf, ifMatchAllows } from '../src/domain/etag.ts'

describe('entity tags', () => {
  test.each([
    ['"3"', true],
    ['3', true],
    ['W/"3"', true],
    ['*', true],
    ['"1", "3"', true],
    ['"4"', false],
    ['"33"', false],
    ['', false],
    ['"1", "2"', false],
  ])('If-Match %s allows a change of version 3: %s', (header, allowed) => {
    expect(ifMatchAllows(header, 3)).toBe(allowed)
  })

  test('the tag of a version allows that version alone', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (a, b) => {
        expect(ifMatchAllows(etagOf(a), b)).toBe(a === b)
      }),
    )
  })
})

describe('cursors', () => {
  test('come back as the id that they were made of', () => {
    const id = newId()
    expect(decodeCursor(encodeCursor(id))).toBe(id)
  })

  test('that are none of ours are refused', () => {
    fc.assert(fc.property(fc.string(), (text) => decodeCursor(text) === undefined))
    expect(decodeCursor(encodeCursor("'; drop table agents"))).toBeUndefined()
  })
})

describe('who may manage an agent', () => {
  test.each([
    ['an operator', { scopes: [], isAgent: false, ownsAgent: false }, true],
    ['an agent its own', { scopes: [], isAgent: true, ownsAgent: true }, true],
    ['an agent that of another', { scopes: ['agent:write'], isAgent: true, ownsAgent: false }, false],
    ['whoever issues tokens', { scopes: ['token:issue'], isAgent: true, ownsAgent: false }, true],
  ])('%s: %j', (_, { scopes, ...caller }, allowed) => {
    expect(mayManage({ ...caller, scopes: new Set(scopes) })).toBe(allowed)
  })
})

describe('one beat', () => {
  const beat: Beat = { tenantId: 't', subject: 's', agentId: 'a', incarnation: 2, seq: 5 }
  const state: BeatState = {
    instanceId: 'i',
    agentId: 'a',
    incarnation: 2,
    lifecycle: 'ready',
    leaseLeftMs: 15_000,
    tasks: [
      { taskId: 'kept', attempt: 1, cancelRequested: false },
      { taskId: 'canceled', attempt: 3, cancelRequested: true },
    ],
  }

  test('tells what is canceled and what is lost', () => {
    const tasks = [
      { taskId: 'kept', attempt: 1 },
      { taskId: 'kept', attempt: 2 },
      { taskId: 'gone', attempt: 1 },
    ]
    expect(judgeBeatOf({ ...beat, tasks }, state)).toEqual({
      kind: 'beaten',
      answer: {
        leaseMs: 15_000,
        lifecycle: 'ready',
        canceled: [{ taskId: 'canceled', attempt: 3 }],
        lost: [
          { taskId: 'kept', attempt: 2 },
          { taskId: 'gone', attempt: 1 },
        ],
      },
    })
  })

  test.each<[string, Partial<Beat>, Partial<BeatState> | undefined, string]>([
    ['of an older incarnation', { incarnation: 1 }, {}, 'fenced'],
    ['of an incarnation that never was', { incarnation: 3 }, {}, 'fenced'],
    ['of a stopped instance', {}, { lifecycle: 'stopped' }, 'fenced'],
    ['of a reaped instance', {}, { lifecycle: 'reaped' }, 'fenced'],
    ['of a draining instance', {}, { lifecycle: 'draining' }, 'beaten'],
    ['for another agent', { agentId: 'b' }, {}, 'not_bound'],
    ['for no agent in particular', { agentId: undefined }, {}, 'beaten'],
    ['of a subject that has no instance', {}, undefined, 'not_bound'],
  ])('%s', (_, of, to, kind) => {
    expect(judgeBeatOf({ ...beat, ...of }, to === undefined ? undefined : { ...state, ...to }).kind).toBe(kind)
  })

  test('of two, the later one counts, by incarnation and then by number', () => {
    const old = { ...beat, incarnation: 1, seq: 99 }
    expect(latestBeat(old, beat)).toBe(beat)
    expect(latestBeat(beat, { ...beat, seq: 4 })).toBe(beat)
  })
})
