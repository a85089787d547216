import type { Instant, Jsonb, SetOnce } from './columns.ts'

/** What a task waits for, or has waited for; its result is a step of the task. */
export interface WaitTable {
  task_id: string
  name: string
  tenant_id: string
  mission_id: string
  kind: 'timer' | 'signal' | 'approval' | 'tasks'
  signal: string | null
  fire_at: Instant | null
  created_at: SetOnce
  fired_at: Instant | null
}

/** Signals of a mission: taken by one task each, or kept for one that will wait. */
export interface SignalTable {
  id: string
  tenant_id: string
  mission_id: string
  name: string
  task_key: string | null
  payload: Jsonb
  idempotency_key: string | null
  request_hash: string
  sent_by: string
  created_at: SetOnce
  taken_by: string | null
  taken_at: Instant | null
}
