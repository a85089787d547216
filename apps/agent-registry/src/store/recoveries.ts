import type { Lifecycle } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import { judgeBeat } from '../domain/health.ts'
import { changeFleet } from '@hypercode/events'
import type { Publish } from '@hypercode/events'
import { isLive } from './live.ts'
import { eventsOf, vitalsColumns, writeMoves } from './moves.ts'
import type { InstanceVitals, Moved } from './moves.ts'

/** An instance that has just beaten although it is not taken for well. */
export interface Recovering {
  readonly tenantId: string
  readonly instanceId: string
  readonly incarnation: number
}

/**
 * Moves instances that beat again to where they belong; answers the moves, and the lifecycles by instance. Whoever was stopped, or registered anew, in the meantime is
 * left alone, as is one whose lease has run out again.
 */
export async function recoverAll(
  db: Db,
  publish: Publish,
  recovering: readonly Recovering[],
): Promise<{ moved: readonly Moved[]; lifecycles: ReadonlyMap<string, Lifecycle> }> {
  const tenantIds = recovering.map((one) => one.tenantId)
  const incarnations = new Map(recovering.map((one) => [one.instanceId, one.incarnation]))
  return await changeFleet(db, publish, tenantIds, async (trx, journal) => {
    const instances = await sql<InstanceVitals>`select ${vitalsColumns} from agent_instances i
      where i.id = any(${[...incarnations.keys()]}::uuid[]) and ${isLive} and i.lease_expires_at > now()
      order by i.tenant_id, i.subject for no key update`.execute(trx)
    const moved = instances.rows
      .filter((instance) => instance.incarnation === incarnations.get(instance.id))
      .flatMap((instance): Moved[] => {
        const move = judgeBeat(instance)
        return move === undefined ? [] : [{ instance, move }]
      })
    await writeMoves(trx, moved)
    journal.add(...moved.flatMap(eventsOf))
    const before = instances.rows.map(({ id, lifecycle }) => [id, lifecycle] as const)
    const after = moved.map(({ instance, move }) => [instance.id, move.lifecycle ?? instance.lifecycle] as const)
    return { moved, lifecycles: new Map([...before, ...after]) }
  })
}
