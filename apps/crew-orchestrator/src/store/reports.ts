import { recordset } from '@hypercode/db'
import type { Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { Ledger } from '../domain/ledger.ts'
import { MISSION_FACTS, TASK_FACTS, toMissionFacts } from './task-facts.ts'
import type { MissionFactsRow, TaskFactsRow } from './task-facts.ts'

/** Who says it: every write of an agent is fenced by its instance, the instance's incarnation and the number of the attempt. */
export interface FenceClaim {
  tenantId: string
  subject: string
  incarnation: number
  taskId: string
  attempt: number
}

/** Whether the fence of a report `r` holds: its attempt is the current one of task `t` and in the hands of instance `i`. */
export const IS_HELD = sql.raw(
  `t.state = 'executing' and t.attempt = r.attempt and t.lease_owner = i.id and t.lease_incarnation = r.incarnation and i.incarnation = r.incarnation`,
)

export const REPORT_COLUMNS = 'ord int, tenant_id uuid, subject text, incarnation bigint, task_id uuid, attempt int'

export const reportRecords = (claims: readonly FenceClaim[]) =>
  claims.map((claim, ord) => ({
    ord,
    tenant_id: claim.tenantId,
    subject: claim.subject,
    incarnation: claim.incarnation,
    task_id: claim.taskId,
    attempt: claim.attempt,
  }))

/** What the database knows of the attempt that a report is about. */
export interface ReportedAttempt {
  ord: number
  /** The task, locked, when the fence holds: the attempt is the current one and in the hands of who reports. */
  task: TaskFactsRow | undefined
  /** How that attempt ended before, when it was the same agent's. */
  earlier: { outcome: string; outputHash: string | null; state: TaskFactsRow['state'] } | undefined
}

/**
 * Locks the tasks of reports whose fence holds, by task id, then their missions, by mission id, and enters those; looks up earlier ends of the
 * other reports. One statement: each that waits for the one before costs a report 0.6 ms. Its first part is at its end before the second
 * begins, for that needs it as an array.
 */
export async function lockReported(
  trx: Trx,
  ledger: Ledger,
  claims: readonly FenceClaim[],
): Promise<ReportedAttempt[]> {
  const rows = reportRecords(claims)
  const found = await sql<{ tasks: ReportedRow[] | null; missions: MissionFactsRow[] | null }>`
    with reported as materialized (
      select r.ord, ${TASK_FACTS},
        ${IS_HELD} as is_held
      from ${recordset(rows, 'r', REPORT_COLUMNS)}
      join agent_instances i on i.tenant_id = r.tenant_id and i.subject = r.subject
      join tasks t on t.id = r.task_id and t.tenant_id = r.tenant_id
      join attempts a on a.task_id = r.task_id and a.attempt = r.attempt and a.agent_instance_id = i.id
      order by t.id for no key update of t),
    their_missions as materialized (
      select ${MISSION_FACTS} from missions m where m.id = any(array(select mission_id from reported where is_held)) order by m.id for no key update)
    select (select json_agg(reported) from reported) as tasks, (select json_agg(their_missions) from their_missions) as missions`.execute(
    trx,
  )
  const tasks = found.rows[0]?.tasks ?? []
  for (const row of found.rows[0]?.missions ?? []) ledger.missions.set(row.id, toMissionFacts(row))
  const byOrd = new Map(tasks.map((row) => [row.ord, row]))
  const outcomes = await readOutcomes(
    trx,
    tasks.filter((row) => !row.is_held).map((row) => rows[row.ord] as ReportRow),
  )
  return claims.map((claim, ord) => {
    const row = byOrd.get(ord)
    const earlier = outcomes.get(keyOf(claim.taskId, claim.attempt))
    return {
      ord,
      task: row?.is_held === true ? row : undefined,
      earlier: row === undefined || row.is_held || earlier === undefined ? undefined : { ...earlier, state: row.state },
    }
  })
}

type ReportedRow = TaskFactsRow & { ord: number; is_held: boolean }

interface ReportRow {
  task_id: string
  attempt: number
}

/**
 * How attempts have ended. A statement of its own, after the tasks are locked: the one that locks sees a task anew when it had to wait
 * for it, but everything beside it as it was before, so that a report sent twice at once would find no trace of itself.
 */
async function readOutcomes(
  trx: Trx,
  attempts: readonly ReportRow[],
): Promise<Map<string, { outcome: string; outputHash: string | null }>> {
  if (attempts.length === 0) return new Map()
  const found = await sql<ReportRow & { outcome: string; output_hash: string | null }>`
    select a.task_id, a.attempt, a.outcome, encode(a.output_hash, 'hex') as output_hash
    from ${recordset(attempts, 'r', 'task_id uuid, attempt int')} join attempts a using (task_id, attempt) where a.outcome is not null`.execute(
    trx,
  )
  return new Map(
    found.rows.map((row) => [keyOf(row.task_id, row.attempt), { outcome: row.outcome, outputHash: row.output_hash }]),
  )
}

const keyOf = (taskId: string, attempt: number): string => `${taskId}/${attempt}`
