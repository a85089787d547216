/**
 * Waits hold no slot: the attempt that asks for one ends without being counted, and when the wait is over its result is journaled as a
 * step and the task is queued. The next attempt finds the result where its handler asks again.
 *
 * W1 A task has one open wait at most, and a name is waited for once.
 * W2 A wait is over once, by whoever locks its task first: its time, or what it waits for.
 */
import type { Wait } from '@hypercode/contracts'
import { waitStep } from '@hypercode/contracts'
import type { TaskFacts } from './facts.ts'
import { move } from './ledger.ts'
import type { Ledger } from './ledger.ts'

/** Waits of a task in all its attempts: each leaves a step. */
export const WAITS_MAX = 500

/** A signal that came before anybody waited for it. */
export interface KeptSignal {
  id: string
  payload: unknown
}

/** What the next attempt finds as the result of a wait. */
export type WaitResult = { timedOut: false; payload?: unknown } | { timedOut: true }

/** The signal ends the wait `name` of the task. */
export function takeSignal(ledger: Ledger, task: TaskFacts, name: string, { id, payload }: KeptSignal): void {
  ledger.takenSignals.push({ id, taskId: task.id })
  endWait(ledger, task, name, { timedOut: false, payload })
}

/** The time of a wait has come: a timer is over, and a signal did not come. */
export function timeWait(ledger: Ledger, task: TaskFacts, wait: { name: string; kind: Wait['kind'] }): void {
  endWait(ledger, task, wait.name, wait.kind === 'timer' ? { timedOut: false } : { timedOut: true })
}

/** Journals the result of a wait and queues the task. */
export function endWait(ledger: Ledger, task: TaskFacts, name: string, result: unknown): void {
  const fresh = ledger.waits.find((wait) => wait.taskId === task.id && wait.name === name)
  if (fresh === undefined) ledger.endedWaits.push({ taskId: task.id, name })
  else fresh.over = true
  ledger.steps.push({
    taskId: task.id,
    tenantId: task.tenantId,
    attempt: task.attempt,
    name: waitStep(name),
    response: result,
  })
  move(ledger, task, 'queued', { reason: `the wait ${name} is over` })
}
