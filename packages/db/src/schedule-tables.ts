import type { ScheduleSpec, TaskError } from '@hypercode/contracts'
import type { Generated, JSONColumnType } from 'kysely'
import type { Instant, SetOnce } from './columns.ts'

/** Begins missions at the instants of a cron expression. */
export interface ScheduleTable {
  id: string
  tenant_id: string
  name: string
  spec: JSONColumnType<ScheduleSpec>
  paused_by: string | null
  /** The next instant, and when that is due. */
  next_at: Instant
  fire_at: Instant
  buffered_at: Instant | null
  claimed_until: Instant | null
  last_at: Instant | null
  last_mission_id: string | null
  last_error: JSONColumnType<TaskError> | null
  started: Generated<number>
  skipped: Generated<number>
  created_by: string
  created_at: SetOnce
}
