/**
 * Beats, in batches: one statement renews every instance that beat and the tasks it holds, however many beats waited.
 *
 * P1 The database clock alone sets a lease, and neither a lease nor the time of the last beat ever goes back.
 * P2 A task is renewed only for the instance, incarnation and attempt that holds it at this moment; a row that somebody is just
 *    changing is left out (SKIP LOCKED) and renewed by the next beat, so a beat never waits for a completion.
 * P3 An attempt that the agent does not know of is renewed for one lease time, while the answer to its claim may still be under way;
 *    then it runs out, so that no lost answer holds a task for ever. An agent that reports no attempts at all has all of them renewed.
 */
import { recordset } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import type { Health, Lifecycle } from '@hypercode/contracts'
import { sql } from 'kysely'
import { attemptKey, latestBeat } from '../domain/beat.ts'
import type { Beat, BeatState } from '../domain/beat.ts'

/** The state of an instance after a batch. */
export interface BeatRow extends BeatState {
  readonly tenantId: string
  readonly health: Health
  /** Whether a beat of this batch renewed it. */
  readonly renewed: boolean
}

interface RawRow {
  slot: number
  id: string
  agent_id: string
  incarnation: number
  lifecycle: Lifecycle
  health: Health
  renewed: boolean
  lease_left_ms: number
  tasks: [taskId: string, attempt: number, cancelRequested: boolean][] | null
}

export interface RenewOptions {
  readonly leaseMs: number
  /** Wait for instances whose rows are in other hands; otherwise they are left out. */
  readonly waits: boolean
}

/** Answers per beat, in order, how its instance stands; undefined when its subject has none, or when its row was left out. */
export async function renewAll(
  db: Db,
  beats: readonly Beat[],
  { leaseMs, waits }: RenewOptions,
): Promise<(BeatRow | undefined)[]> {
  const others = waits ? sql`` : sql`skip locked`
  const groups = groupBySubject(beats)
  const answer = await sql<RawRow>`
    with beat as materialized (
      select * from ${recordset(groups.map(groupRow), 'b', COLUMNS)}),
    held as materialized (
      select b.slot, b.seq, b.lag, b.reported, i.*,
        i.incarnation = b.beat_incarnation and b.seq > i.heartbeat_seq
          and i.lifecycle not in ('stopped', 'reaped', 'failed') as renews
      from beat b cross join lateral (
        select id, agent_id, incarnation, heartbeat_seq, lifecycle, health, lease_expires_at
        from agent_instances where tenant_id = b.tenant_id and subject = b.subject for no key update ${others}) i),
    fresh as (
      update agent_instances i set heartbeat_seq = h.seq, loop_lag_ms = h.lag, last_heartbeat_at = greatest(i.last_heartbeat_at, now()),
        lease_expires_at = greatest(i.lease_expires_at, now() + ${leaseMs} * interval '1 millisecond')
      from held h
      where i.id = h.id and h.renews
      returning i.id, i.lease_expires_at),
    mine as materialized (
      select h.slot, t.id, t.attempt, t.lease_owner, t.lease_incarnation, m.cancel_requested_at is not null and m.compensating_at is null as cancel,
        h.renews and (h.reported is null or (t.id || '/' || t.attempt) = any (h.reported) or exists (
          select from attempts a where a.task_id = t.id and a.attempt = t.attempt
            and a.started_at > now() - ${leaseMs} * interval '1 millisecond')) as renew
      from held h
      join tasks t on t.lease_owner = h.id and t.lease_incarnation = h.incarnation and t.state = 'executing'
      join missions m on m.id = t.mission_id),
    free as (
      select t.id from mine m
      join tasks t on t.id = m.id and t.lease_owner = m.lease_owner and t.lease_incarnation = m.lease_incarnation
        and t.attempt = m.attempt and t.state = 'executing'
      where m.renew for no key update of t skip locked),
    kept as (
      update tasks t set lease_expires_at = greatest(t.lease_expires_at, now() + ${leaseMs} * interval '1 millisecond')
      from free where t.id = free.id),
    listed as (select slot, json_agg(json_build_array(id, attempt, cancel)) as tasks from mine group by slot)
    select h.slot, h.id, h.agent_id, h.incarnation, h.lifecycle, h.health, h.renews as renewed,
      greatest(0, floor(extract(epoch from coalesce(f.lease_expires_at, h.lease_expires_at) - now()) * 1000))::int as lease_left_ms,
      l.tasks
    from held h left join fresh f on f.id = h.id left join listed l on l.slot = h.slot`.execute(db)

  const bySlot = new Map(answer.rows.map((row) => [row.slot, row]))
  const bySubject = new Map(groups.map((beat, slot) => [subjectKey(beat), stateOf(beat, bySlot.get(slot))]))
  return beats.map((beat) => bySubject.get(subjectKey(beat)))
}

const COLUMNS = 'slot int, tenant_id uuid, subject text, beat_incarnation bigint, seq bigint, lag int, reported text[]'

/** As much as the column holds. */
const LAG_MAX_MS = 2 ** 31 - 1

const subjectKey = ({ tenantId, subject }: Beat): string => `${tenantId} ${subject}`

/** One beat per instance, in the order in which everybody locks instances. */
function groupBySubject(beats: readonly Beat[]): Beat[] {
  const latest = new Map<string, Beat>()
  for (const beat of beats) {
    const other = latest.get(subjectKey(beat))
    latest.set(subjectKey(beat), other === undefined ? beat : latestBeat(other, beat))
  }
  return [...latest.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, beat]) => beat)
}

const groupRow = (beat: Beat, slot: number): object => ({
  slot,
  tenant_id: beat.tenantId,
  subject: beat.subject,
  beat_incarnation: beat.incarnation,
  seq: beat.seq,
  lag: Math.min(beat.loopLagMs ?? 0, LAG_MAX_MS),
  reported: beat.tasks?.map(({ taskId, attempt }) => attemptKey(taskId, attempt)) ?? null,
})

function stateOf({ tenantId }: Beat, row: RawRow | undefined): BeatRow | undefined {
  if (row === undefined) return undefined
  return {
    tenantId,
    instanceId: row.id,
    agentId: row.agent_id,
    incarnation: row.incarnation,
    lifecycle: row.lifecycle,
    health: row.health,
    renewed: row.renewed,
    leaseLeftMs: row.lease_left_ms,
    tasks: (row.tasks ?? []).map(([taskId, attempt, cancelRequested]) => ({ taskId, attempt, cancelRequested })),
  }
}
