/** What `store/fenced-write.ts` puts around each write of a running attempt: its fence, and one event when something was written. */
import { predicate } from '../predicate.ts'
import { later } from '../rows.ts'
import type { MissionRow, TaskRow } from '../rows.ts'
import { between, paramsAt, scopeOf } from '../statement.ts'
import type { Call } from '../statement.ts'
import { insertEvent } from './insert.ts'
import { lockTasksWhere } from './load.ts'
import { sendHints } from './parts.ts'

/** `write` answers whether it wrote; it is called with the one task that the fence lets through. */
export async function fencedWrite(call: Call, write: (held: TaskRow) => boolean): Promise<object[]> {
  const { session, text } = call
  const fence = predicate(between(text, 'on i.id = t.lease_owner where', 'for no key update of t'))
  // Only the task is judged again after its lock; the instance is what the snapshot of the statement has.
  const instances = new Map(session.rows('agent_instances').map((row) => [row.id, row]))
  const [locked] = await lockTasksWhere(call, false, (t) => {
    const i = instances.get(t.lease_owner ?? '')
    return i !== undefined && fence(scopeOf(call, { t, i }))
  })
  if (locked === undefined) return [{ held: 0, outbox_id: null, hints: null }]
  const progress_deadline_at = later(session.now, locked.heartbeat_timeout_ms)
  const held: TaskRow = { ...locked, progress_deadline_at, version: locked.version + 1 }
  session.put('tasks', held)
  const hints = write(held) ? await tell(call, held) : null
  return [{ held: 1, outbox_id: hints === null ? null : sendHints(session, hints), hints }]
}

/** `moved` and `told`. */
async function tell(call: Call, held: TaskRow): Promise<object[] | null> {
  const { session } = call
  await session.lock('missions', held.mission_id)
  const m = session.get('missions', held.mission_id) as MissionRow
  if (m.ended_at !== null) return null
  const [type, body] = paramsAt(call, /moved\.tenant_id, \$(\d+), held\.id, .* \|\| \$(\d+)::jsonb/) as [string, string]
  const seq = m.event_seq + 1
  session.put('missions', { ...m, event_seq: seq, version: m.version + 1 })
  const about = { key: held.key, attempt: held.attempt, ...(JSON.parse(body) as object) }
  insertEvent(session, { mission_id: m.id, seq, tenant_id: m.tenant_id, type, task_id: held.id, body: about })
  return [{ kind: 'mission', tenantId: m.tenant_id, missionId: m.id, seq, correlationId: m.correlation_id }]
}
