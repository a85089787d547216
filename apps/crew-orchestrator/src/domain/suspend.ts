import type { Wait } from '@hypercode/contracts'
import { askApproval, termsFault } from './approvals.ts'
import type { ApprovalTerms } from './approvals.ts'
import type { TaskFacts } from './facts.ts'
import { move } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { WAITS_MAX, takeSignal } from './waits.ts'
import type { KeptSignal } from './waits.ts'

/** What is known of the waits of a task when it asks for another. */
export interface KnownWaits {
  count: number
  /** It has waited under this name before. */
  repeated: boolean
  kept?: KeptSignal | undefined
}

/** Why a handler may not wait so, as a code and a message; undefined when it may. */
export function waitFault(wait: Wait, known: KnownWaits): { code: string; message: string } | undefined {
  if (known.repeated)
    return { code: 'wait_repeated', message: `the task has waited under the name ${wait.name} before` }
  if (known.count >= WAITS_MAX) return { code: 'too_many_waits', message: `a task waits at most ${WAITS_MAX} times` }
  const message = wait.kind === 'approval' ? termsFault(termsOf(wait)) : undefined
  return message === undefined ? undefined : { code: 'approval_invalid', message }
}

/** Lets the task wait, without a slot; a signal that was kept for it ends the wait at once. */
export function suspend(ledger: Ledger, task: TaskFacts, wait: Wait, { kept }: KnownWaits): void {
  const { id: taskId, tenantId, missionId } = task
  const signal = wait.kind === 'signal' ? wait.signal : null
  const delayMs = wait.kind === 'timer' ? wait.delayMs : wait.kind === 'signal' ? (wait.timeoutMs ?? null) : null
  ledger.waits.push({ taskId, tenantId, missionId, name: wait.name, kind: wait.kind, signal, delayMs, over: false })
  if (wait.kind === 'approval') askApproval(ledger, task, termsOf(wait), { wait: wait.name, data: wait.data ?? null })
  else move(ledger, task, 'waiting', { reason: reasonOf(wait), delayMs })
  if (kept !== undefined) takeSignal(ledger, task, wait.name, kept)
}

const reasonOf = (wait: Exclude<Wait, { kind: 'approval' }>): string =>
  wait.kind === 'timer' ? `sleeps (${wait.name})` : `waits for the signal ${wait.signal} (${wait.name})`

const termsOf = (wait: Extract<Wait, { kind: 'approval' }>): ApprovalTerms => ({
  title: wait.title,
  approvers: wait.approvers ?? [],
  quorum: wait.quorum ?? 1,
  deadlineMs: wait.deadlineMs ?? null,
  onTimeout: wait.onTimeout ?? 'reject',
  escalate: wait.escalate ?? null,
})
