import { OPERATION_ACTIONS, ROUTES } from '@hypercode/contracts'
import type { Route } from '@hypercode/contracts'
import { describe, expect, test } from 'vitest'
import { FAILURES_MAX, TARGET_OF, filterFaults, tally } from '../../src/domain/operations.ts'
import type { Outcome, Tally } from '../../src/domain/operations.ts'

test('every action is the operation id of a route that does it to one', () => {
  const prefix = { mission: '/v1/missions/{id}:', task: '/v1/tasks/{id}:', deadLetter: '/v1/dead-letters/{id}:' }
  for (const action of OPERATION_ACTIONS) {
    const route: Route = ROUTES[action]
    const verb = /^[a-z]+/.exec(action)?.[0]
    expect([action, route.method, route.path]).toEqual([action, 'POST', `${prefix[TARGET_OF[action]]}${verb}`])
  }
})

describe('a filter', () => {
  test('is told all that is wrong with it at once', () => {
    const filter = { all: true, queue: 'work', state: 'executing' } as const
    expect(filterFaults('cancelMission', filter).map(({ pointer }) => pointer)).toEqual([
      '/filter/queue',
      '/filter/all',
      '/filter/state',
    ])
  })

  test('may name every state of its target', () => {
    expect(filterFaults('cancelMission', { state: 'submitted' })).toEqual([])
    expect(filterFaults('cancelTask', { state: 'executing' })).toEqual([])
    // A word of both.
    for (const action of ['resumeMission', 'retryTask'] as const)
      expect(filterFaults(action, { state: 'paused' })).toEqual([])
  })
})

test('what came of targets is added up, and the first failures keep their reasons', () => {
  const failure = (id: string): Outcome => ({ id, code: 'conflict', message: 'no' })
  const before: Tally = { position: 10, done: 8, skipped: 2, failed: 0, failures: [] }
  const after = tally(before, ['done', failure('a'), 'skipped', 'done'])
  expect(after).toEqual({ position: 14, done: 10, skipped: 3, failed: 1, failures: [failure('a')] })
  const many = tally(
    after,
    Array.from({ length: 30 }, (_, n) => failure(String(n))),
  )
  expect(many).toMatchObject({ position: 44, failed: 31 })
  expect(many.failures).toHaveLength(FAILURES_MAX)
  expect(many.failures.slice(0, 2)).toEqual([failure('a'), failure('0')])
  expect(tally(before, [])).toEqual(before)
})
