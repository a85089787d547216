/**
 * Old missions are found by their id: an id begins with the time at which it was made, so the primary key has the oldest first, and no
 * index over the ends of missions has to be kept up while they end.
 */
import type { Database, Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'

type Table = keyof Database

/** What belongs to a task, by its `task_id`. Each of these tables has an index that begins with it. */
export const OF_TASKS = [
  'attempts',
  'steps',
  'effects',
  'waits',
  'verifications',
  'dead_letters',
  'usage',
  'task_dependencies',
] as const satisfies readonly Table[]

/** What belongs to a mission, by its `mission_id`, in the order in which it is deleted. */
export const OF_MISSIONS = [
  'approvals',
  'artifacts',
  'signals',
  'mission_context',
  'mission_budgets',
  'tasks',
] as const satisfies readonly Table[]

/** Tables that name a mission or a task and outlive it: what the gym has measured is the gym's. */
export const NOT_OURS = ['gym_samples', 'gym_live_scores'] as const satisfies readonly Table[]

/** Before the first id. */
export const NO_ID = '00000000-0000-0000-0000-000000000000'

/** The clocks of those who made the ids may have been ahead of the one that says when a mission ended. */
const SKEW = sql.raw(`interval '1 hour'`)

/** Missions after `cursor`, ended or not, that are old enough to have ended before the retention began. In the order of their ids. */
export async function findOld(db: Db, retentionMs: number, cursor: string, limit: number): Promise<string[]> {
  const found = await sql<{ id: string }>`
    select m.id from missions m where m.id > ${cursor}::uuid and m.id < (
      select (lpad(to_hex((extract(epoch from now() - ${retentionMs} * interval '1 millisecond' + ${SKEW}) * 1000)::bigint), 12, '0')
        || '00000000000000000000')::uuid)
    order by m.id limit ${limit}`.execute(db)
  return found.rows.map(({ id }) => id)
}

export interface Deletable {
  id: string
  /** Number of its last event. */
  events: number
  /** Rows of it, about. */
  rows: number
}

/**
 * Those of `ids` that may go, locked; what another replica has in hand is left out. What is open stays, and what belongs to something
 * that is: a mission of a crew around it or within it, a dead letter that nobody has resolved, and a mission that does it again, whose
 * kept tasks show its artifacts. What is within a mission stays as long as that: it is part of what that has cost.
 */
export async function lockDeletable(trx: Trx, retentionMs: number, ids: readonly string[]): Promise<Deletable[]> {
  const found = await sql<Deletable>`
    select m.id, m.event_seq as events, m.event_seq + m.total_tasks as rows from missions m
    where m.id = any(${ids}::uuid[]) and m.ended_at < now() - ${retentionMs} * interval '1 millisecond'
      and not exists (select from missions r where r.id = m.root_id
        and (r.ended_at is null or r.ended_at >= now() - ${retentionMs} * interval '1 millisecond'))
      and not exists (select from missions w where w.root_id = coalesce(m.root_id, m.id) and w.ended_at is null)
      and not exists (select from missions a where a.parent_mission_id = m.id)
      and not exists (select from tasks t join dead_letters d on d.task_id = t.id where t.mission_id = m.id and d.resolution is null)
    order by m.id for update of m skip locked`.execute(trx)
  return found.rows
}

/** Rows of a table that go with one statement, about: each of them takes a fraction of the time that a statement has. */
const SLICE_TASKS = 500
const SLICE_EVENTS = 5000

/** Deletes missions that are locked, with all that belongs to them. */
export async function deleteMissions(trx: Trx, missions: readonly Deletable[]): Promise<void> {
  const ids = missions.map(({ id }) => id)
  const tasks = await sql<{ id: string }>`select t.id from tasks t where t.mission_id = any(${ids}::uuid[])`.execute(
    trx,
  )
  for (let from = 0; from < tasks.rows.length; from += SLICE_TASKS) {
    const slice = tasks.rows.slice(from, from + SLICE_TASKS).map(({ id }) => id)
    for (const table of OF_TASKS)
      await sql`delete from ${sql.table(table)} where task_id = any(${slice}::uuid[])`.execute(trx)
  }
  const last = Math.max(...missions.map(({ events }) => events))
  for (let from = 0; from <= last; from += SLICE_EVENTS) {
    await sql`delete from mission_events where mission_id = any(${ids}::uuid[]) and seq >= ${from} and seq < ${from + SLICE_EVENTS}`.execute(
      trx,
    )
  }
  await sql`delete from approval_decisions where approval_id in (select id from approvals where mission_id = any(${ids}::uuid[]))`.execute(
    trx,
  )
  for (const table of OF_MISSIONS)
    await sql`delete from ${sql.table(table)} where mission_id = any(${ids}::uuid[])`.execute(trx)
  await sql`delete from missions where id = any(${ids}::uuid[])`.execute(trx)
}
