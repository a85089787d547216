/** Finds instances that fell silent, by the clock of the database, and moves them. */
import type { Db } from '@hypercode/db'
import type { Health } from '@hypercode/contracts'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import { judgeSilence } from '../domain/health.ts'
import type { SilenceLimits } from '../domain/health.ts'
import { changeFleet } from '@hypercode/events'
import type { Publish } from '@hypercode/events'
import { REAPABLE, isLive } from './live.ts'
import { eventsOf, vitalsColumns, writeMoves } from './moves.ts'
import type { InstanceVitals, Moved } from './moves.ts'

/** How many rows one transaction of a sweep takes. */
export const SWEEP_LIMIT = 200

/** How the live instances of one health stand. */
export interface Census {
  readonly health: Health
  readonly live: number
  /** Their lease has run out, and they are not critical yet. */
  readonly expired: number
  /** A sweep has something to do about them, brake or not. */
  readonly due: number
}

export async function takeCensus(db: Db, limits: SilenceLimits): Promise<Census[]> {
  const census = await sql<Census>`
    select i.health, count(*)::int as live, count(*) filter (where ${isExpired})::int as expired,
      count(*) filter (where ${isDue(limits, false)})::int as due
    from agent_instances i where ${isLive} group by i.health`.execute(db)
  return census.rows
}

/** Moves at most SWEEP_LIMIT instances in one transaction; answers how many rows it found, and the moves. */
export async function moveSilent(
  db: Db,
  publish: Publish,
  limits: SilenceLimits,
  brakeHolds: boolean,
): Promise<{ found: number; moved: Moved[] }> {
  const due = sql`${isLive} and ${isDue(limits, brakeHolds)}`
  const tenants = await sql<{ tenant: string }>`select distinct tenant_id as tenant from (
    select i.tenant_id from agent_instances i where ${due} limit ${SWEEP_LIMIT}) as silent`.execute(db)
  const tenantIds = tenants.rows.map((row) => row.tenant)
  if (tenantIds.length === 0) return { found: 0, moved: [] }
  return await changeFleet(db, publish, tenantIds, async (trx, journal) => {
    const instances = await sql<InstanceVitals>`select ${vitalsColumns} from agent_instances i
      where i.tenant_id = any(${tenantIds}::uuid[]) and ${due}
      limit ${SWEEP_LIMIT} for no key update skip locked`.execute(trx)
    const moved = instances.rows.flatMap((instance): Moved[] => {
      const move = judgeSilence(instance, limits, brakeHolds)
      return move === undefined ? [] : [{ instance, move }]
    })
    await writeMoves(trx, moved)
    journal.add(...moved.flatMap(eventsOf))
    for (const { instance, move } of moved.filter((one) => one.move.lifecycle === 'reaped')) {
      const detail = { instanceId: instance.id, incarnation: instance.incarnation, reason: move.reason }
      journal.audit({
        tenantId: instance.tenantId,
        actor: 'system',
        action: 'agent.reaped',
        ref: instance.agentId,
        detail,
      })
    }
    return { found: instances.rows.length, moved }
  })
}

const isExpired = sql<boolean>`(i.health <> 'critical' and i.lease_expires_at <= now())`

/** What `judgeSilence` would act on, as a condition; the function has the last word. */
function isDue(limits: SilenceLimits, brakeHolds: boolean): RawBuilder<boolean> {
  const late = sql<boolean>`(i.health = 'passing' and
    greatest(i.registered_at, i.last_heartbeat_at) < now() - ${limits.missedAfterMs} * interval '1 millisecond')`
  if (brakeHolds) return late
  const reapable = sql<boolean>`(i.health = 'critical' and i.lifecycle = any(${[...REAPABLE]}::text[])
    and i.lease_expires_at <= now() - ${limits.deregisterAfterMs} * interval '1 millisecond')`
  return sql<boolean>`(${late} or ${isExpired} or ${reapable})`
}
