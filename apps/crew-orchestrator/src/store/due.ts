import { repeatable } from '@hypercode/db'
import type { Trx, Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { Overdue } from '../domain/due.ts'
import { HAS_OPEN_CREW } from './load.ts'
import { TASK_FACTS } from './task-facts.ts'
import type { TaskFactsRow } from './task-facts.ts'

export interface DueTask {
  row: TaskFactsRow
  overdue: Overdue
}

/**
 * Nobody but its silence says that the holder is gone. One that has registered again or was stopped has said so itself: no beat can ever
 * renew that lease. One row by its key; an `exists` might be planned as a scan of all instances.
 */
const HOLDER_IS_SILENT = sql`coalesce((select i.incarnation = t.lease_incarnation and i.lifecycle <> 'stopped' from agent_instances i where i.id = t.lease_owner), false)`

/** Its lease has run out, and nothing else has, and by silence alone: the one kind of due task that may be the sweeper's own fault. */
const LEASE_ONLY = sql`(t.state = 'executing' and t.lease_expires_at <= now() and coalesce(least(t.attempt_deadline_at, t.progress_deadline_at, t.total_deadline_at) > now(), true) and ${HOLDER_IS_SILENT})`

/**
 * Locks tasks whose time has come, longest overdue first, and says which of their instants have passed: either those whose lease alone
 * ran out in silence, or all others that may be locked before their mission: not those that wait (`waits.ts`). `now()` and not `clock_timestamp()`: the latter is volatile and would turn the index condition into a filter.
 */
export async function lockDue(trx: Trx, kind: 'leases' | 'others', limit: number, only?: string): Promise<DueTask[]> {
  if (limit <= 0) return []
  const found = await sql<TaskFactsRow & Record<`${keyof Overdue}_over`, boolean>>`
    select ${TASK_FACTS}, coalesce(t.lease_expires_at <= now(), false) as lease_over, coalesce(t.attempt_deadline_at <= now(), false) as attempt_over,
      coalesce(t.progress_deadline_at <= now(), false) as progress_over, coalesce(t.queue_deadline_at <= now(), false) as queue_over,
      coalesce(t.total_deadline_at <= now(), false) as total_over, coalesce(t.available_at <= now(), false) as available_over
    from tasks t where t.due_at <= now() and ${ofKind(kind)} ${only === undefined ? sql`` : sql`and t.id = ${only}`}
    order by t.due_at limit ${limit} for no key update skip locked`.execute(trx)
  return found.rows.map((row) => ({
    row,
    overdue: {
      lease: row.lease_over,
      attempt: row.attempt_over,
      progress: row.progress_over,
      queue: row.queue_over,
      total: row.total_over,
      available: row.available_over,
    },
  }))
}

const ofKind = (kind: 'leases' | 'others') =>
  kind === 'leases' ? LEASE_ONLY : sql`t.state not in ('waiting', 'input_required', 'verifying') and not ${LEASE_ONLY}`

/** The ids of what `lockDue` would lock. */
export async function findDue(db: Db, kind: 'leases' | 'others', limit: number): Promise<string[]> {
  const found = await sql<{ id: string }>`
    select t.id from tasks t where t.due_at <= now() and ${ofKind(kind)} order by t.due_at limit ${limit}`.execute(db)
  return found.rows.map((row) => row.id)
}

/**
 * How many leases are held, and how many of them have run out in silence; both counted up to a bound. The first statement of a sweep: asked
 * again when the pool gives it connections that an outage has left dead, so that the first sweep after it is one.
 */
export async function countLeases(db: Db): Promise<{ live: number; expired: number }> {
  const statement = sql<{ live: number; expired: number }>`
    select (select count(*) from (select 1 from tasks where lease_owner is not null limit 1000) l) as live,
      (select count(*) from (select 1 from tasks t where t.due_at <= now() and t.state = 'executing' and t.lease_expires_at <= now() and ${HOLDER_IS_SILENT} limit 1000) e) as expired`
  const { rows } = await repeatable(async () => await statement.execute(db))
  return rows[0] ?? { live: 0, expired: 0 }
}

/** Missions whose deadline has passed. */
export async function findOverdueMissions(db: Db, limit: number): Promise<string[]> {
  const found = await sql<{ id: string }>`
    select id from missions where ended_at is null and deadline_at is not null and deadline_at <= now() and cancel_requested_at is null and compensating_at is null
    order by deadline_at limit ${limit}`.execute(db)
  return found.rows.map((row) => row.id)
}

/** Missions that are being canceled and still have tasks that only wait: a claim or a sweep held them when the cancel came by. */
export async function findLeftWaiting(db: Db, limit: number): Promise<string[]> {
  const found = await sql<{ id: string }>`
    select m.id from missions m where m.ended_at is null and m.cancel_requested_at is not null and m.compensating_at is null
      and exists (select 1 from tasks t where t.mission_id = m.id and t.state in ('blocked', 'scheduled', 'queued', 'waiting', 'input_required', 'verifying', 'paused')
        and not ${HAS_OPEN_CREW})
    order by m.cancel_requested_at limit ${limit}`.execute(db)
  return found.rows.map((row) => row.id)
}

/** Missions whose cancel was asked for longer ago than the grace time, and that still have tasks executing. */
export async function findBeyondGrace(db: Db, graceMs: number, limit: number): Promise<string[]> {
  const found = await sql<{ id: string }>`
    select m.id from missions m
    where m.ended_at is null and m.cancel_requested_at is not null and m.compensating_at is null and m.cancel_requested_at <= now() - ${graceMs} * interval '1 millisecond'
      and exists (select 1 from tasks t where t.mission_id = m.id and t.state = 'executing')
    order by m.cancel_requested_at limit ${limit}`.execute(db)
  return found.rows.map((row) => row.id)
}

/** Locks executing tasks of a mission; those in the hands of a report or another sweep are left to them. */
export async function lockExecuting(trx: Trx, missionId: string, limit: number): Promise<TaskFactsRow[]> {
  const found = await sql<TaskFactsRow>`
    select ${TASK_FACTS} from tasks t where t.mission_id = ${missionId} and t.state = 'executing'
    order by t.id limit ${limit} for no key update skip locked`.execute(trx)
  return found.rows
}

/** Gives locked tasks their total time again, from now on. */
export async function prolongTasks(trx: Trx, ids: readonly string[]): Promise<void> {
  await sql`update tasks set total_deadline_at = now() + total_timeout_ms * interval '1 millisecond' where id = any(${ids}::uuid[])`.execute(
    trx,
  )
}
