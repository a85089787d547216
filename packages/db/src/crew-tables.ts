import type { Generated } from 'kysely'
import type { Jsonb } from './columns.ts'

/** What the tasks of a mission share. `task_id` and `attempt` say who wrote it last, when a task did. */
export interface MissionContextTable {
  mission_id: string
  key: string
  tenant_id: string
  value: Jsonb
  version: number
  task_id: string | null
  attempt: number | null
  updated_by: string
  updated_at: Generated<Date>
}
