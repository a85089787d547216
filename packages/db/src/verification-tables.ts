import type { Instant, SetOnce } from './columns.ts'

/** One round of the verification of a task: one output, and whether it passed. */
export interface VerificationTable {
  task_id: string
  round: number
  tenant_id: string
  mission_id: string
  /** The attempt that brought the output. */
  attempt: number
  kind: 'schema' | 'agent' | 'command' | 'human'
  state: 'open' | 'passed' | 'failed' | 'withdrawn'
  reason: string | null
  /** Who decides: a task of the same mission, or an approval; nobody when a schema does. */
  verifier_task_id: string | null
  approval_id: string | null
  created_at: SetOnce
  decided_at: Instant | null
}
