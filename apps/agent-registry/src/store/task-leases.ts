import { recordset } from '@hypercode/db'
import type { Trx } from '@hypercode/db'
import { sql } from 'kysely'

/** An instance that holds nothing below `belowIncarnation` any more. */
export interface EndOfLeases {
  readonly instanceId: string
  readonly belowIncarnation: number
}

/**
 * Ends the task leases of former incarnations now, so that the orchestrator's next sweep gives the tasks to others. Touches no state.
 * Rows are locked in id order, as everywhere.
 */
export async function endTaskLeases(trx: Trx, ends: readonly EndOfLeases[]): Promise<void> {
  if (ends.length === 0) return
  await sql`
    with held as (
      select t.id from ${recordset(ends, 'e', '"instanceId" uuid, "belowIncarnation" bigint')}
      join tasks t on t.lease_owner = e."instanceId"
        and t.lease_incarnation < e."belowIncarnation" and t.state = 'executing' and t.lease_expires_at > now()
      order by t.id for no key update of t)
    update tasks t set lease_expires_at = now() from held where t.id = held.id`.execute(trx)
}
