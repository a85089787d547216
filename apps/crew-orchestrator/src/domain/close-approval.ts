import type { ApprovalFacts, DueApproval, Verdict } from './approvals.ts'
import { fail } from './exhaust.ts'
import type { TaskFacts } from './facts.ts'
import { missionOf, move, tell } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { endRound } from './verification.ts'
import { endWait } from './waits.ts'

/**
 * Ends an approval. A task that is denied before its first attempt ends, or pauses its mission and asks again when people let it go on; a
 * handler is told and goes on as it likes; an output that is denied is refused by its verification.
 */
export function closeApproval(
  ledger: Ledger,
  task: TaskFacts,
  approval: ApprovalFacts,
  state: 'approved' | 'rejected' | 'expired',
  { approved, by, comment }: Verdict,
): void {
  ledger.closedApprovals.push({ id: approval.id, taskId: task.id, state })
  const { id: approvalId, wait, verifies, data } = approval
  if (verifies !== null) {
    endRound(ledger, task, verifies, { passed: approved, reason: approved ? null : whyNot(state, comment) }, data)
  } else if (wait !== null) {
    endWait(ledger, task, wait, { approvalId, approved, data, by, comment, timedOut: state === 'expired' })
  } else if (approved) {
    if (approval.edited) task.input = data
    move(ledger, task, 'queued', { reason: state === 'expired' ? 'approved by its deadline' : 'approved' })
  } else {
    const code = state === 'expired' ? 'approval_expired' : 'approval_rejected'
    fail(ledger, task, { code, message: whyNot(state, comment) }, 'rejected')
  }
}

const whyNot = (state: 'approved' | 'rejected' | 'expired', comment: string | null): string =>
  state === 'expired' ? 'nobody approved it by the deadline' : (comment ?? 'rejected without a comment')

/** A2: the time of an approval has come, to be escalated or to be decided. */
export function timeApproval(ledger: Ledger, task: TaskFacts, approval: DueApproval): void {
  const mission = missionOf(ledger, task)
  if (approval.expired) {
    const approved = approval.onTimeout === 'approve'
    tell(ledger, mission, 'approval.expired', task.id, { approvalId: approval.id, key: task.key, approved })
    closeApproval(ledger, task, approval, 'expired', { approved, by: [], comment: null })
  } else if (approval.escalates) {
    ledger.escalatedApprovals.push(approval.id)
    tell(ledger, mission, 'approval.escalated', task.id, { approvalId: approval.id, key: task.key })
    task.delayMs = approval.leftMs
    ledger.changed.add(task)
  }
}
