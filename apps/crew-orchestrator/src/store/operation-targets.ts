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

const TABLE: Readonly<Record<OperationTarget, RawBuilder<unknown>>> = {
  mission: sql`missions`,
  task: sql`tasks`,
  deadLetter: sql`dead_letters`,
}

/** `rows` of the table, with everything that conditions look at. */
const SOURCE: Readonly<Record<OperationTarget, (rows: RawBuilder<unknown>) => RawBuilder<unknown>>> = {
  mission: (rows) => sql`${rows} m`,
  task: (rows) => sql`missions m join ${rows} t on t.mission_id = m.id`,
  // Each by its key, however many letters a page has: a merge would read through the missions between them.
  deadLetter: (rows) => sql`${rows} d cross join lateral (select * from tasks where id = d.task_id offset 0) t
    cross join lateral (select * from missions where id = d.mission_id offset 0) m`,
}

/** The row that is changed. */
const ROW: Readonly<Record<OperationTarget, RawBuilder<unknown>>> = {
  mission: sql`m`,
  task: sql`t`,
  deadLetter: sql`d`,
}

/**
 * Among which rows the targets are, where nothing bounds how many there are, since what has ended stays: the conditions of the index that
 * holds no others (migrations 0020 and 0021).
 */
const CANDIDATES: Partial<Record<OperationAction, RawBuilder<unknown>>> = {
  // That is: failed or canceled.
  retryMission: sql`ended_at is not null and (error is not null or cancel_requested_at is not null) and parent_task_id is null`,
  replayDeadLetter: sql`resolution is null`,
  discardDeadLetter: sql`resolution is null`,
}

/** Rows that one statement looks at. */
const PAGE = 5000

/** The ids of the first targets, oldest first, and of at most `most`. */
export async function findTargets(
  db: Db,
  tenantId: string,
  action: OperationAction,
  filter: OperationFilter,
  most: number,
  page = PAGE,
): Promise<string[]> {
  const candidates = CANDIDATES[action]
  const target = TARGET_OF[action]
  const row = ROW[target]
  const fits = sql`${CHANGEABLE[action]} ${conditions(target, filter)}`
  if (candidates === undefined) {
    const found = await sql<{ id: string }>`
      select ${row}.id from ${SOURCE[target](TABLE[target])} where ${row}.tenant_id = ${tenantId} and ${fits} order by ${row}.id limit ${most}`.execute(
      db,
    )
    return found.rows.map(({ id }) => id)
  }
  const ids: string[] = []
  for (let after: string | undefined; ids.length < most; ) {
    const rows = sql`(select * from ${TABLE[target]} where tenant_id = ${tenantId} and ${candidates}
      ${after === undefined ? sql`` : sql`and id > ${after}::uuid`} order by id limit ${page})`
    const seen = await sql<{ id: string; fits: boolean }>`
      select ${row}.id, coalesce(${fits}, false) as fits from ${SOURCE[target](rows)} order by ${row}.id`.execute(db)
    for (const one of seen.rows) if (one.fits) ids.push(one.id)
    if (seen.rows.length < page) break
    after = seen.rows.at(-1)?.id
  }
  return ids.slice(0, most)
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
      select from ${SOURCE[target](TABLE[target])} where ${row}.id = ${id} and ${row}.tenant_id = ${tenantId} and ${CHANGEABLE[action]}) as changeable`.execute(
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
