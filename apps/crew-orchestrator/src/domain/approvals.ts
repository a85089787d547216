/**
 * Approvals: a task waits for people in the state `input_required`, before its first attempt (the manifest asks) or in the middle of its
 * work (its handler asks, by a wait).
 *
 * A1 A decision is about the data that was shown, named by its hash; changed data needs decisions of its own.
 * A2 Without enough approvals by its deadline an approval is denied, unless it says otherwise.
 * A3 An approval is open exactly as long as its task is `input_required`.
 */
import { newId } from '@hypercode/contracts'
import { canonical, hashText } from '@hypercode/manifest'
import type { TaskFacts } from './facts.ts'
import { missionOf, move, tell } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { endWait } from './waits.ts'

/** How an approval is decided. Times in milliseconds from when it is asked for. */
export interface ApprovalTerms {
  title: string
  /** Ids or names of API clients; empty for everybody who may decide. */
  approvers: readonly string[]
  quorum: number
  deadlineMs: number | null
  onTimeout: 'reject' | 'approve'
  /** Who may decide as well when it takes that long. */
  escalate: { afterMs: number; approvers: readonly string[] } | null
}

/** An approval that is asked for in this transaction. */
export interface ApprovalDraft extends ApprovalTerms {
  id: string
  taskId: string
  tenantId: string
  missionId: string
  taskKey: string
  wait: string | null
  data: unknown
  hash: string
}

/** An open approval as decisions see it. */
export interface ApprovalFacts {
  id: string
  wait: string | null
  data: unknown
  /** The data was changed since it was asked for. */
  edited: boolean
  onTimeout: 'reject' | 'approve'
}

/** Which of its instants have passed, by the clock of the database. */
export interface DueApproval extends ApprovalFacts {
  expired: boolean
  escalates: boolean
  /** From now to its deadline; null when it has none. */
  leftMs: number | null
}

export interface Verdict {
  approved: boolean
  /** The subjects who decided; nobody when the deadline did. */
  by: readonly string[]
  comment: string | null
}

export const hashOf = (data: unknown): string => hashText(canonical(data ?? null))

/** What is wrong with the terms, if anything: nobody could ever fulfil them. */
export function termsFault({ approvers, quorum, deadlineMs, escalate }: ApprovalTerms): string | undefined {
  if (approvers.length > 0 && quorum > new Set([...approvers, ...(escalate?.approvers ?? [])]).size)
    return `${quorum} must approve, and there are only ${approvers.length} approvers`
  if (escalate !== null && deadlineMs !== null && escalate.afterMs >= deadlineMs)
    return 'the escalation comes after the deadline'
  return undefined
}

/** Queues a task that may begin, or keeps what was done of it before, or asks for the approval that it needs first. */
export function begin(ledger: Ledger, task: TaskFacts): void {
  if (keepDone(ledger, task)) return
  const terms = task.policy?.approval
  const crew = task.policy?.crew
  if (crew !== undefined) move(ledger, task, 'waiting', { reason: `crew ${crew} does its work` })
  else if (terms === undefined) move(ledger, task, 'queued')
  else askApproval(ledger, task, terms, null, task.input ?? null)
}

/** What the mission that is done again has completed is not done again. */
function keepDone(ledger: Ledger, task: TaskFacts): boolean {
  const kept = ledger.kept.get(task.key)
  if (kept === undefined) return false
  task.keptFrom = kept.taskId
  missionOf(ledger, task).outputChars += kept.chars
  move(ledger, task, 'completed', { output: kept.output, reason: 'done in the mission before' })
  return true
}

/** Lets the task wait for people. */
export function askApproval(
  ledger: Ledger,
  task: TaskFacts,
  terms: ApprovalTerms,
  wait: string | null,
  data: unknown,
): void {
  const { id: taskId, tenantId, missionId, key: taskKey } = task
  const id = newId()
  ledger.approvals.push({ ...terms, id, taskId, tenantId, missionId, taskKey, wait, data, hash: hashOf(data) })
  const instants = [terms.deadlineMs, terms.escalate?.afterMs ?? null].filter((ms) => ms !== null)
  const delayMs = instants.length === 0 ? null : Math.min(...instants)
  move(ledger, task, 'input_required', { reason: `waits for the approval ${id}`, delayMs })
  const body = { approvalId: id, key: taskKey, title: terms.title, approvers: terms.approvers, quorum: terms.quorum }
  tell(ledger, missionOf(ledger, task), 'approval.requested', taskId, body)
}

/** Ends an approval. A task that is denied before its first attempt ends; a handler is told and goes on as it likes. */
export function closeApproval(
  ledger: Ledger,
  task: TaskFacts,
  approval: ApprovalFacts,
  state: 'approved' | 'rejected' | 'expired',
  { approved, by, comment }: Verdict,
): void {
  ledger.closedApprovals.push({ id: approval.id, taskId: task.id, state })
  const { id: approvalId, wait, data } = approval
  if (wait !== null) {
    endWait(ledger, task, wait, { approvalId, approved, data, by, comment, timedOut: state === 'expired' })
  } else if (approved) {
    if (approval.edited) task.input = data
    move(ledger, task, 'queued', { reason: state === 'expired' ? 'approved by its deadline' : 'approved' })
  } else {
    const code = state === 'expired' ? 'approval_expired' : 'approval_rejected'
    const message =
      state === 'expired' ? 'nobody approved it by the deadline' : (comment ?? 'rejected without a comment')
    move(ledger, task, 'rejected', { error: { code, message } })
  }
}

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
