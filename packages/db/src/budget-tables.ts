import type { Generated } from 'kysely'
import type { Instant } from './columns.ts'

/** What the models of a mission may use, and have used. */
export interface MissionBudgetTable {
  mission_id: string
  tenant_id: string
  tokens_max: number | null
  usd_max: number | null
  tokens_used: Generated<number>
  usd_used: Generated<number>
  /** Since when one of the limits is reached. */
  exhausted_at: Instant | null
}
