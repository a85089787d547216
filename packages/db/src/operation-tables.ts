import type { OperationAction, OperationFailure, OperationFilter, OperationState } from '@hypercode/contracts'
import type { Generated, JSONColumnType } from 'kysely'
import type { Instant, SetOnce } from './columns.ts'

/** One thing that is done to many missions, tasks or dead letters. */
export interface OperationTable {
  id: string
  tenant_id: string
  action: OperationAction
  filter: JSONColumnType<OperationFilter>
  reason: string | null
  idempotency_key: string | null
  request_hash: string
  correlation_id: string
  created_by: string
  state: OperationState
  /** Ids of its targets, oldest first; none after its end. */
  targets: string[]
  matched: number
  /** How many of the targets have been seen to. */
  position: Generated<number>
  done: Generated<number>
  skipped: Generated<number>
  failed: Generated<number>
  failures: Generated<OperationFailure[]>
  claimed_until: Instant | null
  turned_at: Generated<Instant>
  aborted_by: string | null
  created_at: SetOnce
  ended_at: Instant | null
}
