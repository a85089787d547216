import { recordset } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'

/** Where a reader of a mission's, or of a tenant's agents', events stands. */
export interface ReadFrom {
  /** Mission id, or tenant id for agents. */
  key: string
  tenantId: string
  /** Events after this sequence number are wanted. */
  after: number
}

export interface EventRow {
  seq: number
  type: string
  /** The task, or the agent. */
  aboutId: string | null
  instanceId: string | null
  /** What a fleet event is about when it is no agent: its path below /v1. */
  ref: string | null
  body: Record<string, unknown>
  at: Date
}

/**
 * The next events for each of `wants`, in order, at most `limit` for each, in one statement. Sequence numbers are given under a row
 * lock, so what a statement sees of a stream has no gap and nothing can appear behind it later.
 */
export async function readMissionEvents(db: Db, wants: readonly ReadFrom[], limit: number): Promise<EventRow[][]> {
  const answer = await sql<EventRow & { at_index: number }>`
    select w.at_index, e.seq, e.type, e.task_id as "aboutId", null as "instanceId", null as ref, e.body, e.at
    from ${wanted(wants)} cross join lateral (
      select seq, type, task_id, body, at from mission_events
      where mission_id = w.key and tenant_id = w.tenant_id and seq > w.after order by seq limit ${limit}) e
    order by w.at_index, e.seq`.execute(db)
  return grouped(answer.rows, wants.length)
}

export async function readAgentEvents(db: Db, wants: readonly ReadFrom[], limit: number): Promise<EventRow[][]> {
  const answer = await sql<EventRow & { at_index: number }>`
    select w.at_index, e.seq, e.type, e.agent_id as "aboutId", e.instance_id as "instanceId", e.ref, e.body, e.at
    from ${wanted(wants)} cross join lateral (
      select seq, type, agent_id, instance_id, ref, body, at from agent_events
      where tenant_id = w.key and seq > w.after order by seq limit ${limit}) e
    order by w.at_index, e.seq`.execute(db)
  return grouped(answer.rows, wants.length)
}

export interface MissionHead {
  correlationId: string
  traceparent: string | null
  ended: boolean
  /** Number of the latest event. */
  seq: number
}

export async function findMissionHead(db: Db, tenantId: string, missionId: string): Promise<MissionHead | undefined> {
  const row = await db
    .selectFrom('missions')
    .select(['correlation_id as correlationId', 'traceparent', 'ended_at', 'event_seq as seq'])
    .where('tenant_id', '=', tenantId)
    .where('id', '=', missionId)
    .executeTakeFirst()
  if (row === undefined) return undefined
  const { ended_at, ...head } = row
  return { ...head, ended: ended_at !== null }
}

/** Number of the latest agent event of the tenant, 0 before the first. */
export async function findAgentHead(db: Db, tenantId: string): Promise<number> {
  const row = await db
    .selectFrom('agent_event_heads')
    .select('seq')
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  return row?.seq ?? 0
}

const wanted = (wants: readonly ReadFrom[]) =>
  recordset(
    wants.map(({ key, tenantId, after }, at_index) => ({ at_index, key, tenant_id: tenantId, after })),
    'w',
    'at_index int, key uuid, tenant_id uuid, after bigint',
  )

function grouped(rows: readonly (EventRow & { at_index: number })[], count: number): EventRow[][] {
  const groups: EventRow[][] = Array.from({ length: count }, () => [])
  for (const row of rows) groups[row.at_index]?.push(row)
  return groups
}
