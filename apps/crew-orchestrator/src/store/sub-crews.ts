import type { Labels, MissionState, TaskError } from '@hypercode/contracts'
import type { Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'
import { TASK_FACTS } from './task-facts.ts'
import type { TaskFactsRow } from './task-facts.ts'

/** A task that waits for a mission of its own to be begun. */
export interface PendingCrew {
  task_id: string
  tenant_id: string
  mission_id: string
  crew: string
  input: unknown
  priority: number
  labels: Labels
  correlation_id: string
  traceparent: string | null
  created_by: string
  depth: number
  root_id: string
  /** Missions that were begun within the outermost one. */
  within: number
  /** Missions of the task itself that have ended without success. */
  before: number
}

export async function findPendingCrews(db: Db, limit: number): Promise<PendingCrew[]> {
  const found = await sql<PendingCrew>`
    select t.id as task_id, t.tenant_id, t.mission_id, t.policy ->> 'crew' as crew, t.input, m.priority, m.labels, m.correlation_id, m.traceparent,
      m.created_by, m.depth, coalesce(m.root_id, m.id) as root_id,
      (select count(*) from missions o where o.root_id = coalesce(m.root_id, m.id)) as within,
      (select count(*) from missions o where o.parent_task_id = t.id and o.parent_told_at is not null) as before
    from tasks t join missions m on m.id = t.mission_id
    where t.state = 'waiting' and t.policy ? 'crew' and not coalesce(t.template ? 'forEach', false) and m.cancel_requested_at is null and m.state <> 'paused'
      and not exists (select from missions c where c.parent_task_id = t.id and c.parent_told_at is null)
    order by t.id limit ${limit}`.execute(db)
  return found.rows
}

/** A task whose mission has ended and that has not heard of it. */
export interface EndedCrew {
  task_id: string
  mission_id: string
  child_id: string
}

export async function findEndedCrews(db: Db, limit: number): Promise<EndedCrew[]> {
  const found = await sql<EndedCrew>`
    select t.id as task_id, t.mission_id, c.id as child_id from tasks t join missions c on c.parent_task_id = t.id and c.parent_told_at is null
    where t.state = 'waiting' and t.policy ? 'crew' and c.ended_at is not null order by t.id limit ${limit}`.execute(db)
  return found.rows
}

/** Open missions of tasks that have ended without them, or are to end. */
export async function findOrphanedCrews(db: Db, limit: number): Promise<{ id: string; tenant_id: string }[]> {
  const found = await sql<{ id: string; tenant_id: string }>`
    select c.id, c.tenant_id from missions c join tasks t on t.id = c.parent_task_id join missions m on m.id = t.mission_id
    where c.parent_task_id is not null and c.ended_at is null and c.cancel_requested_at is null
      and (t.ended_at is not null or (m.cancel_requested_at is not null and m.compensating_at is null))
    order by c.id limit ${limit}`.execute(db)
  return found.rows
}

export interface WaitingForCrew extends TaskFactsRow {
  child_id: string | null
  child_crew: string
  child_state: MissionState
  child_output: unknown
  child_error: TaskError | null
  child_ended: boolean
}

/** A task that waits for its mission, locked, with what that has come to. Both missions are locked before it. */
export async function lockWaitingForCrew(trx: Trx, taskId: string): Promise<WaitingForCrew | undefined> {
  const found = await sql<WaitingForCrew>`
    select ${TASK_FACTS}, c.id as child_id, c.crew as child_crew, c.state as child_state, c.output as child_output, c.error as child_error,
      c.ended_at is not null as child_ended
    from tasks t left join missions c on c.parent_task_id = t.id and c.parent_told_at is null
    where t.id = ${taskId} and t.state = 'waiting' for no key update of t`.execute(trx)
  return found.rows[0]
}

/** The task has heard of the end of this mission, and may begin another one. */
export async function markTold(trx: Trx, missionId: string): Promise<void> {
  await sql`update missions set parent_told_at = now() where id = ${missionId}`.execute(trx)
}
