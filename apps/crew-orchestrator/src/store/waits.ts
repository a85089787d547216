import type { Wait } from '@hypercode/contracts'
import { recordset } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { KnownWaits } from '../domain/suspend.ts'
import type { Ledger } from '../domain/ledger.ts'
import { TASK_FACTS } from './task-facts.ts'
import type { TaskFactsRow } from './task-facts.ts'

/** A task that asks for a wait; its mission is locked. */
export interface WaitAsk {
  taskId: string
  missionId: string
  key: string
  name: string
  /** The signal that it waits for. */
  signal: string | null
}

/** What is known of the waits of each task, in order. A kept signal is given to one of them, the oldest first. */
export async function readKnownWaits(trx: Trx, asks: readonly WaitAsk[]): Promise<KnownWaits[]> {
  if (asks.length === 0) return []
  const rows = asks.map((ask, ord) => ({ ord, task_id: ask.taskId, name: ask.name }))
  const counted = await sql<{ ord: number; count: number; repeated: boolean }>`
    select r.ord, count(w.task_id) as count, coalesce(bool_or(w.name = r.name), false) as repeated
    from ${recordset(rows, 'r', 'ord int, task_id uuid, name text')} left join waits w on w.task_id = r.task_id group by r.ord`.execute(
    trx,
  )
  const kept = await readKept(trx, asks)
  const byOrd = new Map(counted.rows.map((row) => [row.ord, row]))
  return asks.map((ask, ord) => {
    const { count, repeated } = byOrd.get(ord) as { count: number; repeated: boolean }
    const at = repeated
      ? -1
      : kept.findIndex(
          (one) =>
            one.mission_id === ask.missionId &&
            one.name === ask.signal &&
            (one.task_key === null || one.task_key === ask.key),
        )
    const [signal] = at === -1 ? [] : kept.splice(at, 1)
    return { count, repeated, kept: signal === undefined ? undefined : { id: signal.id, payload: signal.payload } }
  })
}

interface KeptRow {
  id: string
  mission_id: string
  name: string
  task_key: string | null
  payload: unknown
}

async function readKept(trx: Trx, asks: readonly WaitAsk[]): Promise<KeptRow[]> {
  const wanted = asks.filter((ask) => ask.signal !== null)
  if (wanted.length === 0) return []
  const rows = wanted.map((ask) => ({ mission_id: ask.missionId, name: ask.signal }))
  const found = await sql<KeptRow>`
    select s.id, s.mission_id, s.name, s.task_key, s.payload
    from (select distinct mission_id, name from ${recordset(rows, 'r', 'mission_id uuid, name text')}) r
    join signals s on s.mission_id = r.mission_id and s.name = r.name and s.taken_at is null order by s.id`.execute(trx)
  return found.rows
}

/** Locks the task that has waited longest for this signal, with the name of its wait. Its mission must be locked. */
export async function lockWaitingFor(
  trx: Trx,
  missionId: string,
  signal: string,
  taskKey: string | undefined,
): Promise<{ row: TaskFactsRow; wait: string } | undefined> {
  const found = await sql<TaskFactsRow & { wait: string }>`
    select ${TASK_FACTS}, w.name as wait from waits w join tasks t on t.id = w.task_id
    where w.mission_id = ${missionId} and w.signal = ${signal} and w.fired_at is null and t.state = 'waiting'
      ${taskKey === undefined ? sql`` : sql`and t.key = ${taskKey}`}
    order by w.created_at, w.task_id limit 1 for no key update of t`.execute(trx)
  const [row] = found.rows
  return row === undefined ? undefined : { row, wait: row.wait }
}

/** A task that waits and whose time has come, by its instant or by its total deadline. */
export interface DueWait {
  row: TaskFactsRow
  available: boolean
  total: boolean
  /** Its open wait; what waits for elements has none. */
  wait: { name: string; kind: Wait['kind'] } | undefined
}

const WAITING = sql.raw(`('waiting', 'input_required', 'verifying')`)

/** Tasks that wait and whose time has come, with their missions, which must be locked before them. */
export async function findDueWaits(db: Db, limit: number): Promise<{ id: string; mission_id: string }[]> {
  const found = await sql<{ id: string; mission_id: string }>`
    select t.id, t.mission_id from tasks t where t.due_at <= now() and t.state in ${WAITING} order by t.due_at limit ${limit}`.execute(
    db,
  )
  return found.rows
}

/** Locks those of the tasks that still wait and are due. Their missions must be locked. */
export async function lockDueWaits(trx: Trx, ids: readonly string[]): Promise<DueWait[]> {
  const found = await sql<
    TaskFactsRow & { available: boolean; total: boolean; wait: string | null; kind: Wait['kind'] }
  >`
    select ${TASK_FACTS}, coalesce(t.available_at <= now(), false) as available, coalesce(t.total_deadline_at <= now(), false) as total,
      w.name as wait, w.kind from tasks t left join waits w on w.task_id = t.id and w.fired_at is null
    where t.id = any(${ids}::uuid[]) and t.state in ${WAITING} and t.due_at <= now() order by t.id for no key update of t`.execute(
    trx,
  )
  return found.rows.map((row) => ({
    row,
    available: row.available,
    total: row.total,
    wait: row.wait === null ? undefined : { name: row.wait, kind: row.kind },
  }))
}

/** The parts by which a ledger with waits is saved, each with its number of rows. */
export const waitParts = (ledger: Ledger): [name: string, rows: number, part: () => RawBuilder<unknown>][] => [
  ['waits_in', ledger.waits.length, () => insertWaits(ledger)],
  ['waits_over', ledger.endedWaits.length, () => endWaits(ledger)],
  ['signals_taken', ledger.takenSignals.length, () => takeSignals(ledger)],
  ['steps_in', ledger.steps.length, () => insertSteps(ledger)],
]

function insertWaits({ waits }: Ledger): RawBuilder<unknown> {
  const rows = waits.map((wait) => ({
    task_id: wait.taskId,
    name: wait.name,
    tenant_id: wait.tenantId,
    mission_id: wait.missionId,
    kind: wait.kind,
    signal: wait.signal,
    delay_ms: wait.delayMs,
    over: wait.over,
  }))
  return sql`insert into waits (task_id, name, tenant_id, mission_id, kind, signal, fire_at, fired_at)
    select r.task_id, r.name, r.tenant_id, r.mission_id, r.kind, r.signal, now() + r.delay_ms * interval '1 millisecond', case when r.over then now() end
    from ${recordset(rows, 'r', 'task_id uuid, name text, tenant_id uuid, mission_id uuid, kind text, signal text, delay_ms bigint, over boolean')}`
}

function endWaits({ endedWaits }: Ledger): RawBuilder<unknown> {
  const rows = endedWaits.map((wait) => ({ task_id: wait.taskId, name: wait.name }))
  return sql`update waits w set fired_at = now() from ${recordset(rows, 'r', 'task_id uuid, name text')}
    where w.task_id = r.task_id and w.name = r.name and w.fired_at is null`
}

function takeSignals({ takenSignals }: Ledger): RawBuilder<unknown> {
  const rows = takenSignals.map((signal) => ({ id: signal.id, task_id: signal.taskId }))
  return sql`update signals s set taken_by = r.task_id, taken_at = now() from ${recordset(rows, 'r', 'id uuid, task_id uuid')}
    where s.id = r.id and s.taken_at is null`
}

function insertSteps({ steps }: Ledger): RawBuilder<unknown> {
  const rows = steps.map((step) => ({
    task_id: step.taskId,
    name: step.name,
    tenant_id: step.tenantId,
    attempt: step.attempt,
    response: step.response,
  }))
  return sql`insert into steps (task_id, name, tenant_id, attempt, response)
    select r.task_id, r.name, r.tenant_id, r.attempt, r.response
    from ${recordset(rows, 'r', 'task_id uuid, name text, tenant_id uuid, attempt int, response jsonb')}`
}
