import type { MissionEventName } from '@hypercode/contracts'
import type { MissionHint, OutboxRow } from '@hypercode/events'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { FenceClaim } from './reports.ts'

/**
 * The parts of a statement by which an agent writes something about its running attempt: the fence, and one event when something was
 * written. A statement reads `with ${fenced(…)}, written as (insert … from held … returning …), ${toldOf(…)} select …`.
 */

/** `held`: the one task whose fence holds, locked and with its progress deadline renewed, or no row. */
export function fenced(claim: FenceClaim, set: RawBuilder<unknown> = sql``): RawBuilder<unknown> {
  return sql`fence as (
      select t.id from tasks t join agent_instances i on i.id = t.lease_owner
      where t.id = ${claim.taskId} and t.tenant_id = ${claim.tenantId} and t.state = 'executing' and t.attempt = ${claim.attempt}
        and i.subject = ${claim.subject} and i.incarnation = ${claim.incarnation} and t.lease_incarnation = i.incarnation
      for no key update of t),
    held as (
      update tasks t set progress_deadline_at = now() + t.heartbeat_timeout_ms * interval '1 millisecond', version = version + 1 ${set}
      from fence where t.id = fence.id returning t.id, t.tenant_id, t.mission_id, t.key, t.attempt, t.said_chars)`
}

/** `told` and `sent`: one event of the mission, and its hint in the outbox, for each row of `written`. */
export function toldOf(type: MissionEventName, body: Record<string, unknown>): RawBuilder<unknown> {
  return sql`moved as (
      update missions m set event_seq = m.event_seq + 1, version = m.version + 1 from held, written where m.id = held.mission_id and m.ended_at is null
      returning m.id, m.tenant_id, m.event_seq, m.correlation_id),
    told as (
      insert into mission_events (mission_id, seq, tenant_id, type, task_id, body)
      select moved.id, moved.event_seq, moved.tenant_id, ${type}, held.id, jsonb_strip_nulls(jsonb_build_object('key', held.key, 'attempt', held.attempt)) || ${JSON.stringify(body)}::jsonb
      from moved, held),
    sent as (
      insert into outbox (payload) select jsonb_build_array(jsonb_build_object('kind', 'mission', 'tenantId', tenant_id, 'missionId', id,
        'seq', event_seq, 'correlationId', correlation_id)) from moved returning id, payload)`
}

/** What such a statement selects last. */
export const WRITTEN = sql`(select count(*) from held) as held, (select id from sent) as outbox_id, (select payload from sent) as hints`

export interface WrittenRow {
  held: number
  outbox_id: number | null
  hints: MissionHint[] | null
}

export const outboxOf = (row: WrittenRow): OutboxRow | undefined =>
  row.outbox_id === null ? undefined : { id: row.outbox_id, hints: row.hints ?? [] }
