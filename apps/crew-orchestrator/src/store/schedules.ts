import type { Schedule, ScheduleSpec, TaskError } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'

interface Row {
  id: string
  tenant_id: string
  spec: ScheduleSpec
  paused_by: string | null
  next_at: Date
  fire_at: Date
  buffered_at: Date | null
  last_at: Date | null
  last_mission_id: string | null
  last_error: TaskError | null
  started: number
  skipped: number
  created_by: string
  created_at: Date
}

const COLUMNS =
  sql.raw(`s.id, s.tenant_id, s.spec, s.paused_by, s.next_at, s.fire_at, s.buffered_at, s.last_at, s.last_mission_id, s.last_error,
  s.started, s.skipped, s.created_by, s.created_at`)

const toSchedule = (row: Row): Schedule => ({
  id: row.id,
  ...row.spec,
  timeZone: row.spec.timeZone ?? 'UTC',
  overlap: row.spec.overlap ?? 'skip',
  paused: row.paused_by !== null,
  ...(row.paused_by === null ? { nextAt: row.next_at.toISOString() } : { pausedBy: row.paused_by }),
  ...(row.buffered_at === null ? {} : { bufferedAt: row.buffered_at.toISOString() }),
  ...(row.last_at === null ? {} : { lastAt: row.last_at.toISOString() }),
  ...(row.last_mission_id === null ? {} : { lastMissionId: row.last_mission_id }),
  ...(row.last_error === null ? {} : { lastError: row.last_error }),
  started: row.started,
  skipped: row.skipped,
  createdBy: row.created_by,
  createdAt: row.created_at.toISOString(),
})

export async function findSchedule(db: Db, tenantId: string, id: string): Promise<Schedule | undefined> {
  const found =
    await sql<Row>`select ${COLUMNS} from schedules s where s.id = ${id} and s.tenant_id = ${tenantId}`.execute(db)
  return found.rows.map(toSchedule)[0]
}

/** Newest first; the cursor is the id of the last one of the page before. */
export async function listSchedules(
  db: Db,
  tenantId: string,
  limit: number,
  cursor: string | undefined,
): Promise<Schedule[]> {
  const found = await sql<Row>`
    select ${COLUMNS} from schedules s where s.tenant_id = ${tenantId} ${cursor === undefined ? sql`` : sql`and s.id < ${cursor}::uuid`}
    order by s.id desc limit ${limit}`.execute(db)
  return found.rows.map(toSchedule)
}

export async function readClock(db: Db): Promise<Date> {
  const found = await sql<{ now: Date }>`select now() as now`.execute(db)
  return (found.rows[0] as { now: Date }).now
}

export interface NextInstant {
  nextAt: Date
  fireAt: Date
}

/** Stores a schedule; false when its name is taken, or `most` are there already. */
export async function insertSchedule(
  db: Db,
  schedule: { id: string; tenantId: string; spec: ScheduleSpec; createdBy: string } & NextInstant,
  most: number,
): Promise<boolean> {
  const { id, tenantId, spec, createdBy, nextAt, fireAt } = schedule
  const stored = await sql`
    insert into schedules (id, tenant_id, name, spec, next_at, fire_at, created_by)
    select ${id}, ${tenantId}, ${spec.name}, ${JSON.stringify(spec)}::jsonb, ${nextAt}::timestamptz, ${fireAt}::timestamptz, ${createdBy}
    where (select count(*) from schedules where tenant_id = ${tenantId}) < ${most}
    on conflict do nothing`.execute(db)
  return stored.numAffectedRows === 1n
}

/** False when there is none, or another one has its name. */
export async function replaceSchedule(
  db: Db,
  { id, tenantId, spec, nextAt, fireAt }: { id: string; tenantId: string; spec: ScheduleSpec } & NextInstant,
): Promise<boolean> {
  const stored = await sql`
    update schedules s set name = ${spec.name}, spec = ${JSON.stringify(spec)}::jsonb, next_at = ${nextAt}, fire_at = ${fireAt}, buffered_at = null, claimed_until = null
    where id = ${id} and tenant_id = ${tenantId}
      and not exists (select from schedules o where o.tenant_id = s.tenant_id and o.name = ${spec.name} and o.id <> s.id)`.execute(
    db,
  )
  return stored.numAffectedRows === 1n
}

export async function deleteSchedule(db: Db, tenantId: string, id: string): Promise<boolean> {
  const gone = await sql`delete from schedules where id = ${id} and tenant_id = ${tenantId}`.execute(db)
  return gone.numAffectedRows === 1n
}

/** False when it was so before. What waited for its turn is given up with the pause. */
export async function pauseSchedule(db: Db, tenantId: string, id: string, actor: string): Promise<boolean> {
  const changed = await sql`
    update schedules set paused_by = ${actor}, buffered_at = null where id = ${id} and tenant_id = ${tenantId} and paused_by is null`.execute(
    db,
  )
  return changed.numAffectedRows === 1n
}

export async function resumeSchedule(
  db: Db,
  tenantId: string,
  id: string,
  { nextAt, fireAt }: NextInstant,
): Promise<boolean> {
  const changed = await sql`
    update schedules set paused_by = null, next_at = ${nextAt}, fire_at = ${fireAt}, claimed_until = null
    where id = ${id} and tenant_id = ${tenantId} and paused_by is not null`.execute(db)
  return changed.numAffectedRows === 1n
}

export interface DueSchedule {
  id: string
  tenantId: string
  spec: ScheduleSpec
  now: Date
  nextAt: Date
  fireAt: Date
  bufferedAt: Date | null
  lastMissionId: string | null
  isBusy: boolean
}

/** Takes schedules that have something to do, longest due first, and keeps others from them for a moment. */
export async function claimDue(db: Db, claimMs: number, limit: number): Promise<DueSchedule[]> {
  const free = sql`s.paused_by is null and coalesce(s.claimed_until <= now(), true)`
  const open = sql`exists (select from missions m where m.id = s.last_mission_id and m.ended_at is null)`
  const found = await sql<Row & { at: Date; busy: boolean }>`
    update schedules s set claimed_until = now() + ${claimMs} * interval '1 millisecond' where id in (
      select s.id from schedules s where s.id in (
        (select s.id from schedules s where s.fire_at <= now() and ${free} order by s.fire_at limit ${limit})
        union all
        (select s.id from schedules s where s.buffered_at is not null and ${free} and not ${open} limit ${limit}))
      and ${free} order by s.fire_at limit ${limit} for no key update skip locked)
    returning ${COLUMNS}, now() as at, ${open} as busy`.execute(db)
  return found.rows.map((row) => ({
    id: row.id,
    tenantId: row.tenant_id,
    spec: row.spec,
    now: row.at,
    nextAt: row.next_at,
    fireAt: row.fire_at,
    bufferedAt: row.buffered_at,
    lastMissionId: row.last_mission_id,
    isBusy: row.busy,
  }))
}

export interface Fired extends NextInstant {
  bufferedAt: Date | null
  startedAt: Date | null
  missionId: string | null
  error: TaskError | null
  skipped: boolean
}

/** Moves a schedule on, if it still stands where it was when it was claimed. */
export async function moveOn(db: Db, { id, nextAt, bufferedAt }: DueSchedule, fired: Fired): Promise<boolean> {
  const moved = await sql`
    update schedules set next_at = ${fired.nextAt}, fire_at = ${fired.fireAt}, buffered_at = ${fired.bufferedAt}, claimed_until = null,
      last_at = coalesce(${fired.startedAt}::timestamptz, last_at), last_mission_id = coalesce(${fired.missionId}::uuid, last_mission_id),
      last_error = case when ${fired.error !== null || fired.missionId !== null} then ${fired.error === null ? null : JSON.stringify(fired.error)}::jsonb else last_error end,
      started = started + ${fired.missionId === null ? 0 : 1}, skipped = skipped + ${fired.skipped ? 1 : 0}
    where id = ${id} and next_at = ${nextAt} and buffered_at is not distinct from ${bufferedAt}::timestamptz`.execute(
    db,
  )
  return moved.numAffectedRows === 1n
}

export async function noteTriggered(db: Db, id: string, missionId: string): Promise<void> {
  await sql`update schedules set last_mission_id = ${missionId}, started = started + 1 where id = ${id}`.execute(db)
}
