import { newId } from '@hypercode/contracts'
import type { Database } from '@hypercode/db'
import type { Insertable } from 'kysely'

/** Rows that the database accepts as they are; a test changes the one thing that it is about. */

export const missionRow = (
  changes: Partial<Insertable<Database['missions']>> = {},
): Insertable<Database['missions']> => ({
  id: newId(),
  tenant_id: newId(),
  crew: 'crew',
  state: 'running',
  labels: '{}',
  total_tasks: 1,
  open_tasks: 1,
  on_task_failure: 'fail',
  correlation_id: 'c',
  created_by: 'somebody',
  event_seq: 1,
  priority: 0,
  ...changes,
})

export const taskRow = (changes: Partial<Insertable<Database['tasks']>> = {}): Insertable<Database['tasks']> => ({
  id: newId(),
  tenant_id: newId(),
  mission_id: newId(),
  key: newId(),
  leaf: true,
  queue: 'code.review',
  requires: [],
  priority: 0,
  state: 'queued',
  blocked_by: 0,
  attempt: 0,
  max_attempts: 3,
  retry: '{}',
  ...changes,
})

/** What a task in `executing` must have on top. */
export const lease = (): Partial<Insertable<Database['tasks']>> => ({
  state: 'executing',
  attempt: 1,
  lease_owner: newId(),
  lease_incarnation: 1,
  claim_id: newId(),
  lease_expires_at: new Date(Date.now() + 15_000),
})
