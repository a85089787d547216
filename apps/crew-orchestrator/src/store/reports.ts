import { recordset } from '@hypercode/db'
import type { Trx } from '@hypercode/db'
import { sql } from 'kysely'
import { TASK_FACTS } from './task-facts.ts'
import type { TaskFactsRow } from './task-facts.ts'

/** Who says it: every write of an agent is fenced by its instance, the instance's incarnation and the number of the attempt. */
export interface FenceClaim {
  tenantId: string
  subject: string
  incarnation: number
  taskId: string
  attempt: number
}

/** What the database knows of the attempt that a report is about. */
export interface ReportedAttempt {
  ord: number
  /** The task, locked, when the fence holds: the attempt is the current one and in the hands of who reports. */
  task: TaskFactsRow | undefined
  /** How that attempt ended before, when it was the same agent's. */
  earlier: { outcome: string; outputHash: string | null; state: TaskFactsRow['state'] } | undefined
}

/** Locks the tasks of reports whose fence holds, by task id, and looks up earlier ends of the others. */
export async function lockReported(trx: Trx, claims: readonly FenceClaim[]): Promise<ReportedAttempt[]> {
  const rows = claims.map((claim, ord) => ({
    ord,
    tenant_id: claim.tenantId,
    subject: claim.subject,
    incarnation: claim.incarnation,
    task_id: claim.taskId,
    attempt: claim.attempt,
  }))
  const found = await sql<TaskFactsRow & { ord: number; held: boolean }>`
    select r.ord, ${TASK_FACTS},
      t.state = 'executing' and t.attempt = r.attempt and t.lease_owner = i.id and t.lease_incarnation = r.incarnation and i.incarnation = r.incarnation as held
    from ${recordset(rows, 'r', 'ord int, tenant_id uuid, subject text, incarnation bigint, task_id uuid, attempt int')}
    join agent_instances i on i.tenant_id = r.tenant_id and i.subject = r.subject
    join tasks t on t.id = r.task_id and t.tenant_id = r.tenant_id
    join attempts a on a.task_id = r.task_id and a.attempt = r.attempt and a.agent_instance_id = i.id
    order by t.id for no key update of t`.execute(trx)
  const byOrd = new Map(found.rows.map((row) => [row.ord, row]))
  const outcomes = await readOutcomes(
    trx,
    found.rows.filter((row) => !row.held).map((row) => rows[row.ord] as ReportRow),
  )
  return claims.map((claim, ord) => {
    const row = byOrd.get(ord)
    const earlier = outcomes.get(keyOf(claim.taskId, claim.attempt))
    return {
      ord,
      task: row?.held === true ? row : undefined,
      earlier: row === undefined || row.held || earlier === undefined ? undefined : { ...earlier, state: row.state },
    }
  })
}

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
