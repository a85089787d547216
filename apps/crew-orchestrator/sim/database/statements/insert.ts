/** `store/insert-fragments.ts`: rows of tasks, edges and events that are planned just now. */
import { later } from '../rows.ts'
import type { EdgeRow, EventRow, TaskRow } from '../rows.ts'
import type { Session } from '../database.ts'
import { intoHand } from './hand-over.ts'
import type { Gate, InHand } from './hand-over.ts'

interface TaskRecord extends Omit<TaskRow, 'available_at'>, InHand {
  queue_ms: number | null
  attempt_ms: number | null
  heartbeat_ms: number | null
  total_ms: number | null
  delay_ms: number | null
  ended: boolean
}

export function insertTask(session: Session, record: TaskRecord, gate?: Gate): void {
  const { queue_ms, attempt_ms, heartbeat_ms, total_ms, delay_ms, ended, ...rest } = record
  const { hand_owner, hand_incarnation, hand_claim, ...task } = rest
  const { now } = session
  const { state } = task
  const planned: TaskRow = {
    ...task,
    attempt: 0,
    queue_timeout_ms: queue_ms,
    attempt_timeout_ms: attempt_ms,
    heartbeat_timeout_ms: heartbeat_ms,
    total_timeout_ms: total_ms,
    lease_owner: null,
    lease_incarnation: null,
    claim_id: null,
    lease_expires_at: null,
    attempt_deadline_at: null,
    progress_deadline_at: null,
    available_at: state === 'queued' ? now : state === 'input_required' ? later(now, delay_ms) : null,
    queue_deadline_at: state === 'queued' ? later(now, queue_ms) : null,
    total_deadline_at: state === 'queued' || state === 'waiting' ? later(now, total_ms) : null,
    started_at: null,
    ended_at: ended ? now : null,
    version: 1,
  }
  session.put('tasks', intoHand(session, planned, { hand_owner, hand_incarnation, hand_claim }, gate))
}

export const insertEdge = (session: Session, edge: EdgeRow): void => session.put('task_dependencies', edge)

export const insertEvent = (session: Session, event: EventRow): void => session.insert('mission_events', event)

export type { TaskRecord }
