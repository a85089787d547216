/**
 * The parts of a statement that hand what it queues to claims. `gate` has a row when all of it may be handed over, and none otherwise:
 * then it is queued, as if nobody had waited.
 */
import { recordset } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { TaskFacts } from '../domain/facts.ts'
import type { HandOver } from '../domain/hand-over.ts'

/**
 * What a lease asks too: the instances are ready, of their current incarnation, beating, and have free slots; the claims hold nothing
 * yet, for a repeated one gets what it was given before; the queues are neither paused nor limited, and nothing stands in them that would
 * be next.
 */
export function gate({ hands }: HandOver): RawBuilder<unknown> {
  const owners = Array.from(hands, ([hand, tasks]) => ({
    tenant_id: hand.tenantId,
    owner: hand.owner,
    incarnation: hand.incarnation,
    claim_id: hand.claimId,
    asked: tasks.length,
  }))
  const queues = new Map(
    [...hands.values()]
      .flat()
      .map(({ tenantId, queue }) => [`${tenantId} ${queue}`, { tenant_id: tenantId, queue }] as const),
  )
  return sql`gate as materialized (select true as open
    where (select count(*) from ${recordset(owners, 'h', 'tenant_id uuid, owner uuid, incarnation bigint, claim_id uuid, asked int')}
      join agent_instances i on i.id = h.owner and i.tenant_id = h.tenant_id and i.incarnation = h.incarnation
        and i.lifecycle = 'ready' and i.lease_expires_at > now()
      where i.slots - (select count(*) from tasks t where t.lease_owner = i.id) >= h.asked
        and not exists (select from tasks t where t.lease_owner = i.id and t.claim_id = h.claim_id)) = ${owners.length}::int
    and not exists (select from ${recordset([...queues.values()], 'q', 'tenant_id uuid, queue text')} cross join lateral (
      (select from queue_controls c where c.tenant_id = q.tenant_id and c.queue = q.queue and (c.paused_at is not null or c.max_executing is not null))
      union all
      (select from tasks t where t.tenant_id = q.tenant_id and t.queue = q.queue and t.state = 'queued' and t.ungated limit 1)) held_back))`
}

/** Columns of a record of a task that say in whose hands it goes. */
export const HAND_COLUMNS = 'hand_owner uuid, hand_incarnation bigint, hand_claim uuid'

export function handColumns({ handOf }: HandOver, task: TaskFacts): Record<string, unknown> {
  const hand = handOf.get(task)
  if (hand === undefined) return {}
  return { hand_owner: hand.owner, hand_incarnation: hand.incarnation, hand_claim: hand.claimId }
}

/** Beside the records `r` of tasks: `g.open` is true for those that are handed over, and null for others. */
export const JOIN_GATE = sql.raw('left join gate g on r.hand_owner is not null')

export const HANDED_STATE = sql.raw(`case when g.open then 'executing' else r.state end`)

/** What a lease sets beside state, attempt and start; null for what is not handed over. */
export const LEASE_COLUMNS = [
  'lease_owner',
  'lease_incarnation',
  'claim_id',
  'lease_expires_at',
  'attempt_deadline_at',
  'progress_deadline_at',
] as const

/**
 * In the order of `LEASE_COLUMNS`. They count from this statement: its transaction may have waited for a mission before it. The arguments say
 * where the limits of an attempt stand, in milliseconds.
 */
export function leaseValues({ leaseMs }: HandOver, attemptMs: string, heartbeatMs: string): RawBuilder<unknown>[] {
  return [
    sql`r.hand_owner`,
    sql`r.hand_incarnation`,
    sql`r.hand_claim`,
    sql`statement_timestamp() + ${leaseMs}::int * interval '1 millisecond'`,
    sql`statement_timestamp() + ${sql.raw(attemptMs)} * interval '1 millisecond'`,
    sql`statement_timestamp() + ${sql.raw(heartbeatMs)} * interval '1 millisecond'`,
  ].map((value) => sql`case when g.open then ${value} end`)
}

/** A row for each attempt that begins, of the tasks that `parts` return. */
export function openAttempts(parts: readonly string[]): RawBuilder<unknown> {
  const handed = parts.map(
    (part) =>
      `select id, attempt, tenant_id, lease_owner, lease_incarnation, claim_id, clock_timestamp() from ${part} where state = 'executing'`,
  )
  return sql`attempts_opened as (insert into attempts (task_id, attempt, tenant_id, agent_instance_id, incarnation, claim_id, started_at)
    ${sql.raw(handed.join(' union all '))})`
}

/** What `openAttempts` reads; `table` is how the statement calls the tasks. */
export const returnLeases = (table: string): RawBuilder<unknown> =>
  sql.raw(`returning ${LEASED.map((column) => `${table}.${column}`).join(', ')}`)
const LEASED = ['id', 'tenant_id', 'state', 'attempt', 'lease_owner', 'lease_incarnation', 'claim_id']
