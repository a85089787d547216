import { TASK_STATES } from '@hypercode/contracts'
import type { TaskState } from '@hypercode/contracts'
import { test } from '@hypercode/testkit'
import { expect } from 'vitest'
import { lease, taskRow } from './rows.ts'

const at = (second: number): Date => new Date(Date.UTC(2030, 0, 1, 0, 0, second))

/** Every instant that a task can have, each with a second of its own; `later` moves one behind all others. */
const instants = {
  lease_expires_at: at(1),
  attempt_deadline_at: at(2),
  progress_deadline_at: at(3),
  queue_deadline_at: at(4),
  available_at: at(5),
  total_deadline_at: at(6),
}
type Instant = keyof typeof instants

/** Which instants the sweep must look at in a state; the earliest counts. */
const RELEVANT: Record<TaskState, readonly Instant[]> = {
  executing: ['lease_expires_at', 'attempt_deadline_at', 'progress_deadline_at', 'total_deadline_at'],
  scheduled: ['available_at', 'total_deadline_at'],
  queued: ['queue_deadline_at', 'total_deadline_at'],
  waiting: ['available_at', 'total_deadline_at'],
  paused: ['total_deadline_at'],
  blocked: [],
  input_required: ['available_at', 'total_deadline_at'],
  verifying: ['available_at', 'total_deadline_at'],
  completed: [],
  failed: [],
  canceled: [],
  rejected: [],
  skipped: [],
}

const ENDED: readonly TaskState[] = ['completed', 'failed', 'canceled', 'rejected', 'skipped']

// Goal: the sweep finds a row exactly when something about it is due. Method: every state × every instant being the earliest of all.
for (const state of TASK_STATES)
  test(`due_at of a task that is ${state}`, async ({ db }) => {
    const base = {
      ...(state === 'executing' ? lease() : {}),
      state,
      blocked_by: state === 'blocked' ? 1 : 0,
      ended_at: ENDED.includes(state) ? at(0) : null,
    }
    const leaseFields = (values: Record<Instant, Date | null>): Record<string, Date | null> =>
      state === 'executing' ? values : { ...values, lease_expires_at: null }
    const dueAtOf = async (values: Record<Instant, Date | null>): Promise<Date | null> => {
      const row = taskRow({ ...base, ...leaseFields(values) })
      const { due_at } = await db.insertInto('tasks').values(row).returning('due_at').executeTakeFirstOrThrow()
      return due_at
    }
    const expected = (values: Record<Instant, Date | null>): Date | null => {
      const times = RELEVANT[state].flatMap((name) => values[name] ?? [])
      return times.length === 0 ? null : new Date(Math.min(...times.map(Number)))
    }
    for (const name of Object.keys(instants) as Instant[]) {
      const first = { ...instants, [name]: at(0) }
      expect(await dueAtOf(first), `${name} comes first`).toEqual(expected(first))
    }
    const nothing: Record<Instant, Date | null> = {
      lease_expires_at: state === 'executing' ? at(9) : null,
      attempt_deadline_at: null,
      progress_deadline_at: null,
      queue_deadline_at: null,
      available_at: null,
      total_deadline_at: null,
    }
    expect(await dueAtOf(nothing), 'no deadline at all').toEqual(expected(nothing))
  })
