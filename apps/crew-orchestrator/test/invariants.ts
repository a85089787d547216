import type { Db } from '@hypercode/db'
import { findBroken, findBrokenHistories, MISSION_STATEMENTS } from '@hypercode/testkit/invariants'
import { sql } from 'kysely'
import { expect } from 'vitest'

/** Everything that must be true of missions, tasks, attempts and events, at any time. */
export async function expectInvariants(db: Db): Promise<void> {
  expect(await findBroken(db, MISSION_STATEMENTS), 'broken invariants').toEqual([])
  expect(await findBrokenHistories(db), 'broken invariants').toEqual([])
}

/** No two transactions ever waited for each other in a circle. */
export async function expectNoDeadlocks(db: Db): Promise<void> {
  const { rows } = await sql<{ deadlocks: number }>`
    select deadlocks from pg_stat_database where datname = current_database()`.execute(db)
  expect(rows[0]?.deadlocks).toBe(0)
}
