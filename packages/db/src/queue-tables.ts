import type { Generated } from 'kysely'
import type { Instant } from './columns.ts'

/** What a tenant has said about a queue; without a row it runs and has no limit. */
export interface QueueControlTable {
  tenant_id: string
  queue: string
  paused_at: Instant | null
  paused_by: string | null
  max_executing: number | null
  updated_at: Generated<Instant>
}
