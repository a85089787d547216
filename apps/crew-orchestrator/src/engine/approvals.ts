import type { Approval } from '@hypercode/contracts'
import { inTransaction, writeAudit } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { hashOf } from '../domain/approvals.ts'
import { closeApproval } from '../domain/close-approval.ts'
import type { TaskFacts } from '../domain/facts.ts'
import { missionOf, openLedger, tell } from '../domain/ledger.ts'
import { outputFault } from '../domain/output-schema.ts'
import { editData, findApproval, lockApproval, storeDecision } from '../store/approvals.ts'
import type { LockedApproval } from '../store/approvals.ts'
import { enter, lockMissions, lockTasks } from '../store/load.ts'
import type { Saved } from '../store/save-ledger.ts'
import { settle } from './settle.ts'

export interface DecisionOrder {
  tenantId: string
  id: string
  /** Token subject of who decides. */
  subject: string
  verdict: 'approve' | 'reject' | 'edit'
  /** Of the data that was shown. */
  hash: string
  comment: string | undefined
  /** What an edit makes of the data. */
  data?: unknown
}

/**
 * Takes the decision of one client. Whoever locks the mission first decides: a second decision of the same client, or one that comes after
 * the approval was closed, changes nothing and is told so.
 */
export async function decideApproval(db: Db, order: DecisionOrder): Promise<{ approval: Approval; saved: Saved }> {
  const { tenantId, id, subject, verdict } = order
  const client = subject.split('/')[0] as string
  return await inTransaction(db, async (trx) => {
    const seen = await findApproval(trx, tenantId, id)
    if (seen === undefined) throw new AppError('not_found')
    const ledger = openLedger()
    await lockMissions(trx, ledger, [seen.missionId])
    const approval = (await lockApproval(trx, id, client)) as LockedApproval
    assertMayDecide(approval, client, order.hash)
    const [task] = enter(ledger, await lockTasks(trx, [seen.taskId])) as [TaskFacts]

    const comment = order.comment ?? null
    const edits = verdict === 'edit'
    const round = approval.round + (edits ? 1 : 0)
    const data = edits ? (order.data ?? null) : approval.data
    const hash = edits ? hashOf(data) : approval.hash
    const fault = edits && approval.verifies !== null ? editFault(task, data) : undefined
    if (fault !== undefined) throw new AppError('unprocessable', { detail: fault })
    if (edits) await editData(trx, id, data, hash)
    await storeDecision(trx, { tenantId, approvalId: id, round, client, subject, verdict, comment, hash })
    const by = edits ? [client] : [...approval.approvedBy, client]
    const decided = verdict === 'reject' || by.length >= approval.quorum
    const state = !decided ? 'open' : verdict === 'reject' ? 'rejected' : 'approved'
    const body = { approvalId: id, key: task.key, verdict, state, by: subject }
    tell(ledger, missionOf(ledger, task), 'approval.decided', task.id, body)
    if (state !== 'open') {
      const facts = { ...approval, data, edited: round > 1 }
      const who = verdict === 'reject' ? [client] : by
      closeApproval(ledger, task, facts, state, { approved: state === 'approved', by: who, comment })
    }
    const detail = {
      verdict,
      state,
      hash,
      taskId: task.id,
      missionId: seen.missionId,
      ...(comment === null ? {} : { comment }),
    }
    await writeAudit(trx, [{ tenantId, actor: subject, action: 'approval.decided', ref: id, detail }])
    const saved = await settle(trx, ledger)
    return { approval: (await findApproval(trx, tenantId, id)) as Approval, saved }
  })
}

/** An output that people change is held to the schema of the task as well. */
function editFault({ policy }: TaskFacts, output: unknown): string | undefined {
  if (policy?.outputSchema === undefined) return undefined
  const fault = outputFault(policy.outputSchema, output, JSON.stringify(output).length)
  return fault === undefined ? undefined : `The output does not fit the schema of the task: ${fault}`
}

function assertMayDecide(approval: LockedApproval, client: string, hash: string): void {
  const { approvers, clientName, state } = approval
  const named = approvers.includes(client) || (clientName !== null && approvers.includes(clientName))
  if (approvers.length > 0 && !named) throw new AppError('not_an_approver')
  if (state !== 'open') throw new AppError('conflict', { detail: `The approval is ${state}.` })
  if (approval.late) throw new AppError('conflict', { detail: 'The deadline of the approval has passed.' })
  if (approval.hash !== hash)
    throw new AppError('version_mismatch', {
      detail: 'What is to be approved has changed since it was shown.',
      fix: 'Read the approval again, and decide about its data with its new hash.',
    })
  if (approval.decided) throw new AppError('conflict', { detail: 'You have decided about this before.' })
}
