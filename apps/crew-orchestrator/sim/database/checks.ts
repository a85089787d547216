import { DatabaseError } from './errors.ts'
import type { MissionRow, Rows, TableName, TaskRow } from './rows.ts'

/** The CHECK constraints of the tables: what breaks one is refused, as Postgres refuses it. */
export function checkRow<T extends TableName>(table: T, row: Rows[T]): void {
  const fault =
    table === 'tasks' ? taskFault(row as TaskRow) : table === 'missions' ? missionFault(row as MissionRow) : undefined
  if (fault !== undefined) throw new DatabaseError('23514', `new row for relation "${table}" violates: ${fault}`)
}

const ENDED: ReadonlySet<string> = new Set(['completed', 'failed', 'canceled', 'rejected', 'skipped'])

function taskFault(task: TaskRow): string | undefined {
  const isLeased = task.lease_owner !== null
  if ((task.state === 'executing') !== isLeased) return `${task.state} with lease_owner ${task.lease_owner}`
  if (isLeased !== (task.lease_expires_at !== null)) return 'half a lease'
  if ((task.ended_at !== null) !== ENDED.has(task.state)) return `${task.state} with ended_at ${task.ended_at}`
  if (task.blocked_by < 0 || (task.state === 'blocked' && task.blocked_by === 0))
    return `${task.state}, blocked by ${task.blocked_by}`
  if (['queued', 'scheduled', 'executing'].includes(task.state) && task.blocked_by !== 0)
    return `${task.state} while blocked`
  if (task.attempt > task.max_attempts) return `attempt ${task.attempt} of ${task.max_attempts}`
  return undefined
}

function missionFault(mission: MissionRow): string | undefined {
  if (mission.open_tasks < 0) return 'open_tasks < 0'
  if ((mission.ended_at !== null) !== ENDED.has(mission.state))
    return `${mission.state} with ended_at ${mission.ended_at}`
  if ((mission.open_tasks === 0) !== (mission.ended_at !== null))
    return `${mission.open_tasks} open tasks in state ${mission.state}`
  return undefined
}
