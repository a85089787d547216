import type { Generated } from 'kysely'
import type { Instant, Jsonb, SetOnce } from './columns.ts'

/** What a person is asked about a task. */
export interface ApprovalTable {
  id: string
  tenant_id: string
  mission_id: string
  task_id: string
  task_key: string
  /** Of the wait of a handler; null where the manifest asks. */
  wait: string | null
  /** The round of verification whose output is shown. */
  verifies: number | null
  title: string
  data: Jsonb
  hash: string
  approvers: string[]
  quorum: number
  round: Generated<number>
  state: 'open' | 'approved' | 'rejected' | 'expired' | 'withdrawn'
  on_timeout: 'reject' | 'approve'
  deadline_at: Instant | null
  escalate_at: Instant | null
  escalate_to: string[]
  escalated_at: Instant | null
  created_at: SetOnce
  decided_at: Instant | null
}

export interface ApprovalDecisionTable {
  approval_id: string
  round: number
  /** The API client: its instances are one voice. */
  client: string
  tenant_id: string
  subject: string
  verdict: 'approve' | 'reject' | 'edit'
  comment: string | null
  hash: string
  at: SetOnce
}
