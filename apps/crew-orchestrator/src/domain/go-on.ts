/**
 * A person lets a paused task go on: from the gate at which it stopped, and never past one. What nobody has approved is asked for again,
 * what its references left without an input is filled in again, and a crew does its work by another mission.
 */
import { begin, hashOf } from './approvals.ts'
import type { TaskFacts } from './facts.ts'
import { move } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import { ReferenceError } from './references.ts'
import { fillIn, isUnfilled } from './release.ts'
import type { Outputs } from './release.ts'

/** What a paused task needs to go on. Its input is known if it asks for an approval. */
export interface GoOnFacts {
  /** Of the tasks that its template reads. */
  outputs: Outputs
  /** Of the data that was approved when people were asked last before it began; null when they did not approve. */
  approvedHash: string | null
}

export const NOTHING_KNOWN: GoOnFacts = { outputs: {}, approvedHash: null }

/** Answers why it cannot go on, or undefined when it does. It has as many attempts as its policy gives. */
export function goOn(
  ledger: Ledger,
  task: TaskFacts,
  reason: string,
  { outputs, approvedHash }: GoOnFacts,
): string | undefined {
  task.maxAttempts = task.attempt + task.retry.maxAttempts
  if (task.template !== null && isUnfilled(task)) {
    try {
      fillIn(ledger, task, task.template, outputs)
      return undefined
    } catch (error) {
      if (!(error instanceof ReferenceError)) throw error
      return `its references lead nowhere: ${error.message}`
    }
  }
  if (mustBegin(task, approvedHash)) begin(ledger, task)
  else move(ledger, task, 'queued', { reason })
  return undefined
}

/** A1: an approval is about the data that was shown, and another input needs another one. */
const mustBegin = ({ policy, input }: TaskFacts, approvedHash: string | null): boolean =>
  policy?.crew !== undefined || (policy?.approval !== undefined && approvedHash !== hashOf(input))
