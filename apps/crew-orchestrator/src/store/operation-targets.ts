/** Which missions, tasks and dead letters an operation means. */
import type { OperationAction, OperationFilter } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import { TARGET_OF } from '../domain/operations.ts'
import type { OperationTarget } from '../domain/operations.ts'

/** What an action can change. Open tasks are in open missions, which an index finds. */
const CHANGEABLE: Readonly<Record<OperationAction, RawBuilder<boolean>>> = {
  cancelMission: sql`m.ended_at is null and m.cancel_requested_at is null`,
  pauseMission: sql`m.ended_at is null and m.state in ('submitted', 'running')`,
  resumeMission: sql`m.ended_at is null and m.state = 'paused'`,
  // What a task began is done again with the mission of that task.
  retryMission: sql`m.state in ('failed', 'canceled') and m.parent_task_id is null`,
  cancelTask: sql`m.ended_at is null and t.ended_at is null`,
  retryTask: sql`m.ended_at is null and t.state in ('paused', 'scheduled')`,
  skipTask: sql`m.ended_at is null and t.ended_at is null and t.state not in ('executing', 'verifying')`,
  replayDeadLetter: sql`d.resolution is null and t.state = 'paused'`,
  discardDeadLetter: sql`d.resolution is null`,
}

const SOURCE: Readonly<Record<OperationTarget, RawBuilder<unknown>>> = {
  mission: sql`missions m`,
  task: sql`missions m join tasks t on t.mission_id = m.id`,
  deadLetter: sql`dead_letters d join tasks t on t.id = d.task_id join missions m on m.id = d.mission_id`,
}

/** The row that is changed. */
const ROW: Readonly<Record<OperationTarget, RawBuilder<unknown>>> = {
  mission: sql`m`,
  task: sql`t`,
  deadLetter: sql`d`,
}

/** A query of the ids of the first targets, oldest first. */
export function targetIds(
  tenantId: string,
  action: OperationAction,
  filter: OperationFilter,
  limit: number,
): RawBuilder<{ id: string }> {
  const target = TARGET_OF[action]
  const row = ROW[target]
  return sql`select ${row}.id from ${SOURCE[target]}
    where ${row}.tenant_id = ${tenantId} and ${CHANGEABLE[action]} ${conditions(target, filter)}
    order by ${row}.id limit ${limit}`
}

function conditions(target: OperationTarget, filter: OperationFilter): RawBuilder<unknown> {
  const row = ROW[target]
  const { crew, labels, correlationId, state, createdAfter, createdBefore, code, missionId, key, queue, skill } = filter
  const parts: (RawBuilder<unknown> | false)[] = [
    crew !== undefined && sql`m.crew = ${crew}`,
    labels !== undefined && sql`m.labels @> ${JSON.stringify(labels)}::jsonb`,
    correlationId !== undefined && sql`m.correlation_id = ${correlationId}`,
    state !== undefined && sql`${row}.state = ${state}`,
    createdAfter !== undefined && sql`${row}.created_at > ${createdAfter}`,
    createdBefore !== undefined && sql`${row}.created_at < ${createdBefore}`,
    code !== undefined && sql`${row}.error ->> 'code' = ${code}`,
    missionId !== undefined && sql`m.id = ${missionId}`,
    key !== undefined && sql`t.key = ${key}`,
    queue !== undefined && sql`t.queue = ${queue}`,
    skill !== undefined && sql`split_part(t.queue, '@', 1) = ${skill}`,
  ]
  const named = parts.filter((part) => part !== false)
  return named.length === 0 ? sql`` : sql`and ${sql.join(named, sql` and `)}`
}

export async function countTargets(
  db: Db,
  tenantId: string,
  action: OperationAction,
  filter: OperationFilter,
  limit: number,
): Promise<number> {
  const found = await sql<{ n: number }>`
    select count(*) as n from (${targetIds(tenantId, action, filter, limit)}) t`.execute(db)
  return found.rows[0]?.n ?? 0
}

/** Whether the action could still change one target, and whether this operation has changed it. */
export async function standOf(
  db: Db,
  tenantId: string,
  action: OperationAction,
  id: string,
  via: string,
): Promise<{ changeable: boolean; changed: boolean }> {
  const target = TARGET_OF[action]
  const row = ROW[target]
  const found = await sql<{ changeable: boolean; changed: boolean }>`
    select ${mark(tenantId, id, via)} as changed, exists (
      select from ${SOURCE[target]} where ${row}.id = ${id} and ${row}.tenant_id = ${tenantId} and ${CHANGEABLE[action]}) as changeable`.execute(
    db,
  )
  return found.rows[0] as { changeable: boolean; changed: boolean }
}

/** Whether an operation has changed what has this id, as the audit says. */
export async function isMarked(db: Db, tenantId: string, id: string, via: string): Promise<boolean> {
  const found = await sql<{ changed: boolean }>`select ${mark(tenantId, id, via)} as changed`.execute(db)
  return found.rows[0]?.changed === true
}

const mark = (tenantId: string, id: string, via: string): RawBuilder<boolean> =>
  sql`exists (select from audit a where a.tenant_id = ${tenantId} and a.ref = ${id} and a.detail ->> 'operation' = ${via})`
