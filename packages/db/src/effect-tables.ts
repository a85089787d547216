import type { Instant, Jsonb, SetOnce } from './columns.ts'

/** What a task does to the world outside; the key has no attempt, so that the next one finds it. */
export interface EffectTable {
  task_id: string
  name: string
  tenant_id: string
  /** The attempt that is doing it, or did. */
  attempt: number
  state: 'intent' | 'done' | 'unknown'
  idempotent: boolean
  request_hash: string | null
  response: Jsonb | null
  created_at: SetOnce
  done_at: Instant | null
  resolved_by: string | null
}
