import { charsOf, readPage, recordset } from '@hypercode/db'
import type { Cut, Db } from '@hypercode/db'
import type { JournalEntry, Labels, Mission, MissionState, TaskError } from '@hypercode/contracts'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import { isMissionTerminal } from '../domain/states.ts'

interface Row {
  id: string
  crew: string
  crew_version: number | null
  state: MissionState
  input: unknown
  output: unknown
  error: TaskError | null
  priority: number
  labels: Labels
  parent_mission_id: string | null
  parent_task_id: string | null
  total_tasks: number
  open_tasks: number
  correlation_id: string
  created_by: string
  created_at: Date
  started_at: Date | null
  ended_at: Date | null
  deadline_at: Date | null
  cancel_requested_at: Date | null
  compensating_at: Date | null
  version: number
}

/** Of `missions m`, for `Mission`. */
export const MISSION_COLUMNS =
  sql.raw(`m.id, m.crew, m.crew_version, m.state, m.input, m.output, m.error, m.priority, m.labels, m.total_tasks, m.open_tasks, m.correlation_id,
  m.created_by, m.created_at, m.started_at, m.ended_at, m.deadline_at, m.cancel_requested_at, m.compensating_at, m.version, m.parent_mission_id, m.parent_task_id`)

const instant = <K extends string>(key: K, at: Date | null): Partial<Record<K, string>> =>
  at === null ? {} : ({ [key]: at.toISOString() } as Record<K, string>)

const toMission = (row: Row): Mission => ({
  id: row.id,
  crew: row.crew,
  ...(row.crew_version === null ? {} : { crewVersion: row.crew_version }),
  state: row.state,
  input: row.input ?? null,
  ...(row.ended_at === null ? {} : { output: row.output ?? null }),
  ...(row.error === null ? {} : { error: row.error }),
  priority: row.priority,
  labels: row.labels,
  tasks: { total: row.total_tasks, open: row.open_tasks },
  ...(row.parent_mission_id === null ? {} : { parentMissionId: row.parent_mission_id }),
  ...(row.parent_task_id === null ? {} : { parentTaskId: row.parent_task_id }),
  correlationId: row.correlation_id,
  createdBy: row.created_by,
  createdAt: row.created_at.toISOString(),
  ...instant('startedAt', row.started_at),
  ...instant('endedAt', row.ended_at),
  ...instant('deadlineAt', row.deadline_at),
  ...instant('cancelRequestedAt', row.cancel_requested_at),
  ...instant('compensatingAt', row.compensating_at),
  version: row.version,
})

type Instant = 'created_at' | 'started_at' | 'ended_at' | 'deadline_at' | 'cancel_requested_at' | 'compensating_at'
/** A row as `json_agg` has it. */
export type MissionJson = Omit<Row, Instant> & { [K in Instant]: null extends Row[K] ? string | null : string }

export function missionOfJson(json: MissionJson): Mission {
  const at = (text: string | null): Date | null => (text === null ? null : new Date(text))
  return toMission({
    ...json,
    created_at: new Date(json.created_at),
    started_at: at(json.started_at),
    ended_at: at(json.ended_at),
    deadline_at: at(json.deadline_at),
    cancel_requested_at: at(json.cancel_requested_at),
    compensating_at: at(json.compensating_at),
  })
}

export interface MissionRef {
  tenantId: string
  id: string
}

/** One mission per reference, in order; undefined for one that the tenant does not have. One statement for all. */
export async function readMissions(db: Db, refs: readonly MissionRef[]): Promise<(Mission | undefined)[]> {
  const rows = refs.map((ref) => ({ tenant_id: ref.tenantId, id: ref.id }))
  const found = await sql<Row & { tenant_id: string }>`
    select ${MISSION_COLUMNS}, m.tenant_id from ${recordset(rows, 'r', 'tenant_id uuid, id uuid')} join missions m on m.id = r.id and m.tenant_id = r.tenant_id`.execute(
    db,
  )
  const byId = new Map(found.rows.map((row) => [`${row.tenant_id} ${row.id}`, row]))
  return refs.map((ref) => {
    const row = byId.get(`${ref.tenantId} ${ref.id}`)
    return row === undefined ? undefined : toMission(row)
  })
}

export interface MissionFilter {
  limit: number
  cursor?: string | undefined
  state?: MissionState | undefined
  crew?: string | undefined
  label?: [string, string] | undefined
  correlationId?: string | undefined
}

/** Newest first. The cursor is the id of the last mission of the page before: ids sort by time. */
export async function listMissions(db: Db, tenantId: string, filter: MissionFilter): Promise<Cut<Mission>> {
  const rows = sql`
    select ${MISSION_COLUMNS} from missions m where m.tenant_id = ${tenantId}
      ${filter.cursor === undefined ? sql`` : sql`and m.id < ${filter.cursor}::uuid`}
      ${filter.state === undefined ? sql`` : sql`and m.state = ${filter.state} and ${whereStands(filter.state)}`}
      ${filter.crew === undefined ? sql`` : sql`and m.crew = ${filter.crew}`}
      ${filter.label === undefined ? sql`` : sql`and m.labels @> ${JSON.stringify({ [filter.label[0]]: filter.label[1] })}::jsonb`}
      ${filter.correlationId === undefined ? sql`` : sql`and m.correlation_id = ${filter.correlationId}`}
    order by m.id desc limit ${filter.limit}`
  const page = await readPage<Row>(db, rows, sql`${charsOf('input')} + ${charsOf('output')}`, sql`p.id desc`)
  return { ...page, rows: page.rows.map(toMission) }
}

/** Where the missions in this state stand: conditions of the indexes that hold few others (migration 0021). */
function whereStands(state: MissionState): RawBuilder<boolean> {
  if (!isMissionTerminal(state)) return sql`m.ended_at is null`
  if (state === 'completed') return sql`m.ended_at is not null`
  return sql`m.ended_at is not null and (m.error is not null or m.cancel_requested_at is not null)`
}

export async function missionExists(db: Db, tenantId: string, id: string): Promise<boolean> {
  const row = await db
    .selectFrom('missions')
    .select('id')
    .where('id', '=', id)
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  return row !== undefined
}

interface JournalRow {
  kind: 'attempt' | 'step'
  task_id: string
  key: string
  attempt: number
  name: string | null
  outcome: string | null
  agent_instance_id: string | null
  at: Date
  ended_at: Date | null
  error: TaskError | null
  response: unknown
}

/** Attempts and steps in the order in which they began or were recorded; the cursor is a number of entries to pass over. */
export async function readJournal(
  db: Db,
  missionId: string,
  limit: number,
  offset: number,
): Promise<Cut<JournalEntry>> {
  const rows = sql`
    with mine as (select t.id, t.key from tasks t where t.mission_id = ${missionId})
    select * from (
      select 'attempt' as kind, a.task_id, t.key, a.attempt, null as name, a.outcome, a.agent_instance_id, a.started_at as at, a.ended_at, a.error, null::jsonb as response
      from mine t join attempts a on a.task_id = t.id
      union all
      select 'step', s.task_id, t.key, s.attempt, s.name, null, null, s.created_at, null, null, s.response from mine t join steps s on s.task_id = t.id) j
    order by at, task_id, attempt, kind limit ${limit} offset ${offset}`
  const page = await readPage<JournalRow>(db, rows, charsOf('response'), sql`p.at, p.task_id, p.attempt, p.kind`)
  return { ...page, rows: page.rows.map(toEntry) }
}

function toEntry(row: JournalRow): JournalEntry {
  return {
    taskId: row.task_id,
    key: row.key,
    kind: row.kind,
    attempt: row.attempt,
    ...(row.name === null ? {} : { name: row.name }),
    ...(row.outcome === null ? {} : { outcome: row.outcome }),
    ...(row.agent_instance_id === null ? {} : { agentInstanceId: row.agent_instance_id }),
    startedAt: row.at.toISOString(),
    ...instant('endedAt', row.ended_at),
    ...(row.error === null ? {} : { error: row.error }),
    ...(row.kind === 'step' ? { response: row.response } : {}),
  }
}

/** Ids of the open missions of a crew that nobody has canceled, oldest first. */
export async function findOpenOfCrew(
  db: Db,
  tenantId: string,
  filter: { crew: string; version: number | undefined; after: string | undefined; limit: number },
): Promise<string[]> {
  const found = await sql<{ id: string }>`
    select m.id from missions m where m.tenant_id = ${tenantId} and m.crew = ${filter.crew} and m.ended_at is null and m.cancel_requested_at is null
      ${filter.version === undefined ? sql`` : sql`and m.crew_version = ${filter.version}`}
      ${filter.after === undefined ? sql`` : sql`and m.id > ${filter.after}::uuid`}
    order by m.id limit ${filter.limit}`.execute(db)
  return found.rows.map(({ id }) => id)
}
