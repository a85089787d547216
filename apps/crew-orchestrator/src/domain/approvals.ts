/**
 * Approvals: a task waits for people in the state `input_required`, before its first attempt (the manifest asks) or in the middle of its
 * work (its handler asks, by a wait).
 *
 * A1 A decision is about the data that was shown, named by its hash; changed data needs decisions of its own.
 * A2 Without enough approvals by its deadline an approval is denied, unless it says otherwise.
 * A3 An approval is open exactly as long as its task is `input_required`, or `verifying` by people.
 */
import { newId } from '@hypercode/contracts'
import { canonical, hashText } from '@hypercode/manifest'
import type { TaskFacts } from './facts.ts'
import { missionOf, move, tell } from './ledger.ts'
import type { Ledger } from './ledger.ts'

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
  /** The wait of a handler. */
  wait: string | null
  /** The round of verification whose output it is about. */
  verifies: number | null
  data: unknown
  hash: string
}

/** An open approval as decisions see it. */
export interface ApprovalFacts {
  id: string
  wait: string | null
  verifies: number | null
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
  else askApproval(ledger, task, terms, { data: task.input ?? null })
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

/** Lets the task wait for people: before it begins, in the middle of its work, or with its output. Answers the id of the approval. */
export function askApproval(
  ledger: Ledger,
  task: TaskFacts,
  terms: ApprovalTerms,
  { wait = null, verifies = null, data }: { wait?: string | null; verifies?: number | null; data: unknown },
): string {
  const { id: taskId, tenantId, missionId, key: taskKey } = task
  const id = newId()
  ledger.approvals.push({
    ...terms,
    id,
    taskId,
    tenantId,
    missionId,
    taskKey,
    wait,
    verifies,
    data,
    hash: hashOf(data),
  })
  const instants = [terms.deadlineMs, terms.escalate?.afterMs ?? null].filter((ms) => ms !== null)
  const delayMs = instants.length === 0 ? null : Math.min(...instants)
  const reason = `waits for the approval ${id}`
  if (verifies === null) move(ledger, task, 'input_required', { reason, delayMs })
  else move(ledger, task, 'verifying', { reason, delayMs, output: data })
  const body = { approvalId: id, key: taskKey, title: terms.title, approvers: terms.approvers, quorum: terms.quorum }
  tell(ledger, missionOf(ledger, task), 'approval.requested', taskId, body)
  return id
}
