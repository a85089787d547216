import { recordset } from '@hypercode/db'
import type { Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { Ledger } from '../domain/ledger.ts'
import { undecidedOf } from '../domain/verification.ts'
import { TASK_FACTS } from './task-facts.ts'
import type { TaskFactsRow } from './task-facts.ts'

/** How many rounds each of these tasks has had; one that had none is left out. */
export async function readRounds(trx: Trx, taskIds: readonly string[]): Promise<Map<string, number>> {
  const found = await sql<{ task_id: string; rounds: number }>`
    select v.task_id, max(v.round) as rounds from verifications v where v.task_id = any(${taskIds}::uuid[]) group by v.task_id`.execute(
    trx,
  )
  return new Map(found.rows.map((row) => [row.task_id, row.rounds]))
}

/** Locks those of the tasks that are verifying, with what is verified. Their missions must be locked. */
export async function lockVerifying(
  trx: Trx,
  taskIds: readonly string[],
): Promise<(TaskFactsRow & { output: unknown })[]> {
  const found = await sql<TaskFactsRow & { output: unknown }>`
    select ${TASK_FACTS}, t.output from tasks t where t.id = any(${taskIds}::uuid[]) and t.state = 'verifying'
    order by t.id for no key update of t`.execute(trx)
  return found.rows
}

/** Locks the tasks that verify one of these and have not ended. One in the hands of somebody else is left to end by itself. */
export async function lockReviewers(trx: Trx, taskIds: readonly string[]): Promise<TaskFactsRow[]> {
  const found = await sql<TaskFactsRow>`
    select ${TASK_FACTS} from verifications v join tasks t on t.id = v.verifier_task_id
    where v.task_id = any(${taskIds}::uuid[]) and v.state = 'open' and t.ended_at is null
    order by t.id for no key update of t skip locked`.execute(trx)
  return found.rows
}

/** The parts by which a ledger with verifications is saved, each with its number of rows. */
export const verificationParts = (ledger: Ledger): [name: string, rows: number, part: () => RawBuilder<unknown>][] => {
  const withdrawn = undecidedOf(ledger)
  return [
    ['rounds_in', ledger.rounds.length, () => insertRounds(ledger)],
    ['rounds_ended', ledger.endedRounds.length, () => endRounds(ledger)],
    ['attempts_passed', passedOf(ledger).length, () => passAttempts(ledger)],
    ['rounds_withdrawn', withdrawn.length, () => withdrawRounds(withdrawn)],
  ]
}

function insertRounds({ rounds }: Ledger): RawBuilder<unknown> {
  const rows = rounds.map((round) => ({
    task_id: round.taskId,
    round: round.round,
    tenant_id: round.tenantId,
    mission_id: round.missionId,
    attempt: round.attempt,
    kind: round.kind,
    state: round.state,
    reason: round.reason,
    verifier_task_id: round.verifierTaskId,
    approval_id: round.approvalId,
  }))
  return sql`insert into verifications (task_id, round, tenant_id, mission_id, attempt, kind, state, reason, verifier_task_id, approval_id, decided_at)
    select r.*, case when r.state <> 'open' then now() end from ${recordset(
      rows,
      'r',
      `task_id uuid, round int, tenant_id uuid, mission_id uuid, attempt int, kind text, state text, reason text, verifier_task_id uuid,
       approval_id uuid`,
    )}`
}

function endRounds({ endedRounds }: Ledger): RawBuilder<unknown> {
  const rows = endedRounds.map(({ taskId, round, state, reason }) => ({ task_id: taskId, round, state, reason }))
  return sql`update verifications v set state = r.state, reason = r.reason, decided_at = now()
    from ${recordset(rows, 'r', 'task_id uuid, round int, state text, reason text')}
    where v.task_id = r.task_id and v.round = r.round and v.state = 'open'`
}

const passedOf = ({ endedRounds }: Ledger) => endedRounds.filter(({ state }) => state === 'passed')

/** V1: an attempt whose output has passed is the success of its task. */
function passAttempts(ledger: Ledger): RawBuilder<unknown> {
  const rows = passedOf(ledger).map(({ taskId, attempt }) => ({ task_id: taskId, attempt }))
  return sql`update attempts a set outcome = 'completed' from ${recordset(rows, 'r', 'task_id uuid, attempt int')}
    where a.task_id = r.task_id and a.attempt = r.attempt and a.outcome = 'delivered'`
}

/** V2: tasks that are no longer verifying, without a verdict. */
const withdrawRounds = (taskIds: readonly string[]): RawBuilder<unknown> =>
  sql`update verifications v set state = 'withdrawn', decided_at = now() where v.task_id = any(${taskIds}::uuid[]) and v.state = 'open'`
