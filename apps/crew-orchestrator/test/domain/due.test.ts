import type { TaskState } from '@hypercode/contracts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NOTHING_OVERDUE, decideDue } from '../../src/domain/due.ts'
import type { Overdue } from '../../src/domain/due.ts'
import { isTerminal } from '../../src/domain/states.ts'
import { aMission, aTask, ledgerWith } from './builders.ts'

function decide(state: TaskState, overdue: Partial<Overdue>, mission = aMission({ state: 'running' })) {
  const task = aTask(mission, { state, attempt: 1 })
  const ledger = ledgerWith(mission, [task])
  decideDue(ledger, task, { ...NOTHING_OVERDUE, ...overdue }, 0.5)
  return { task, ledger }
}

describe('what time does to a task', () => {
  test.for([
    ['executing', { lease: true }, 'scheduled', 'lease_lost'],
    ['executing', { attempt: true }, 'scheduled', 'attempt_timeout'],
    ['executing', { progress: true }, 'scheduled', 'heartbeat_timeout'],
    // The total time leaves nothing for another attempt.
    ['executing', { total: true, attempt: true, lease: true }, 'failed', 'total_timeout'],
    ['queued', { queue: true }, 'failed', 'queue_timeout'],
    ['queued', { total: true }, 'failed', 'total_timeout'],
    ['scheduled', { total: true, available: true }, 'failed', 'total_timeout'],
    ['waiting', { total: true }, 'failed', 'total_timeout'],
  ] as const)('%s with %o', ([state, overdue, next, code]) => {
    const { task, ledger } = decide(state, overdue)
    expect(task).toMatchObject({ state: next, error: { code } })
    expect(ledger.deadLetters.map((letter) => letter.error.code)).toEqual(next === 'failed' ? [code] : [])
    expect(ledger.endedAttempts).toHaveLength(state === 'executing' ? 1 : 0)
  })

  test('a back-off that is over queues the task', () => {
    expect(decide('scheduled', { available: true }).task).toMatchObject({ state: 'queued', attempt: 1 })
  })

  test('an attempt that ran out of its lease and one that ran out of time are told apart', () => {
    expect(decide('executing', { lease: true }).ledger.endedAttempts).toMatchObject([{ outcome: 'lease_lost' }])
    expect(decide('executing', { progress: true }).ledger.endedAttempts).toMatchObject([{ outcome: 'timed_out' }])
  })

  test('the last attempt ends the task', () => {
    const mission = aMission({ state: 'running' })
    const task = aTask(mission, { state: 'executing', attempt: 3, maxAttempts: 3 })
    const ledger = ledgerWith(mission, [task])
    decideDue(ledger, task, { ...NOTHING_OVERDUE, lease: true }, 0.5)
    expect(task).toMatchObject({ state: 'failed', error: { code: 'lease_lost' } })
    expect(ledger.deadLetters).toHaveLength(1)
  })

  test('in a mission that is being canceled everything that is due is canceled', () => {
    const canceling = (): ReturnType<typeof aMission> => aMission({ state: 'running', canceling: true })
    for (const state of ['queued', 'scheduled', 'waiting', 'executing'] as const) {
      const { task, ledger } = decide(state, { total: true, lease: true, queue: true, available: true }, canceling())
      expect(task.state).toBe('canceled')
      expect(ledger.deadLetters).toEqual([])
    }
  })

  test('a due task never stays as it is: otherwise a sweep would find it again and again', () => {
    const due: Record<string, readonly (keyof Overdue)[]> = {
      executing: ['lease', 'attempt', 'progress', 'total'],
      scheduled: ['available', 'total'],
      queued: ['queue', 'total'],
      waiting: ['total'],
    }
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(due)),
        fc.record({
          lease: fc.boolean(),
          attempt: fc.boolean(),
          progress: fc.boolean(),
          queue: fc.boolean(),
          total: fc.boolean(),
          available: fc.boolean(),
        }),
        fc.boolean(),
        (state, overdue, canceling) => {
          fc.pre((due[state] ?? []).some((instant) => overdue[instant]))
          const { task, ledger } = decide(state as TaskState, overdue, aMission({ state: 'running', canceling }))
          expect(task.state).not.toBe(state)
          expect(ledger.news.includes(task)).toBe(isTerminal(task.state))
        },
      ),
    )
  })

  test('nothing overdue, nothing done', () => {
    for (const state of ['queued', 'scheduled', 'waiting', 'executing'] as const) {
      const { task, ledger } = decide(state, {})
      expect(task.state).toBe(state)
      expect(ledger.events).toEqual([])
    }
  })
})
