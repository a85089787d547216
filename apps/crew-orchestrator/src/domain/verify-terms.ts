import type { Verification } from '@hypercode/contracts'
import type { ApprovalTerms } from './approvals.ts'

/** What must pass the output of a task; at most `maxRounds` outputs are refused before the task has failed. */
export type Verify = { maxRounds: number } & (
  | { kind: 'schema'; schema: object }
  /** `input` may hold references to `mission` and `task`. */
  | { kind: 'agent'; skill: string; input?: unknown }
  | { kind: 'command'; skill: string; command: readonly string[] }
  | { kind: 'human'; terms: ApprovalTerms }
)

/** A round that begins in this transaction, and may end in it. */
export interface RoundDraft {
  taskId: string
  tenantId: string
  missionId: string
  round: number
  attempt: number
  kind: Verification['kind']
  state: Verification['state']
  reason: string | null
  verifierTaskId: string | null
  approvalId: string | null
}

export interface EndedRound {
  taskId: string
  round: number
  attempt: number
  state: 'passed' | 'failed'
  reason: string | null
}
