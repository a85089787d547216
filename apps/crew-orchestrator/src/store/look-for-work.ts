import { recordset, repeatable } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { LeaseAsk } from './lease.ts'

export interface Look {
  /** Something is queued for these skills, or a claim is a repeat of one that was given tasks: the lease statement is worth its cost. */
  mayLease: boolean
  /** Per ask, in order: whether its incarnation is the registered one. */
  live: boolean[]
}

/**
 * What a claim that has just come, or polls, needs to know first. Most find nothing, and the lease statement takes Postgres 2.7 ms only
 * to find that out (most of it planning), this one 0.3.
 */
export async function lookForWork(
  db: Db,
  tenantId: string,
  skills: readonly string[],
  asks: readonly LeaseAsk[],
): Promise<Look> {
  const rows = asks.map(({ claimId, subject, incarnation }, ord) => ({ ord, claim_id: claimId, subject, incarnation }))
  const statement = sql<{ live: number[] | null; queued: boolean; held: boolean }>`
    with live as (
      select a.ord, a.claim_id, i.id from ${recordset(rows, 'a', 'ord int, claim_id uuid, subject text, incarnation bigint')}
      join agent_instances i on i.tenant_id = ${tenantId} and i.subject = a.subject and i.incarnation = a.incarnation
        and i.lifecycle not in ('stopped', 'reaped'))
    select (select json_agg(ord) from live) as live,
      exists (select from unnest(${skills}::text[]) as skill cross join lateral (
        (select from tasks t where t.tenant_id = ${tenantId} and t.queue = skill and t.state = 'queued' and t.ungated limit 1)
        union all
        (select from tasks t where t.tenant_id = ${tenantId} and t.queue = skill and t.state = 'queued' and t.concurrency_key is not null and not t.held limit 1)) q
        where not exists (select from queue_controls c where c.tenant_id = ${tenantId} and c.queue = skill and c.paused_at is not null)) as queued,
      exists (select from live l join tasks t on t.lease_owner = l.id and t.claim_id = l.claim_id) as held`
  const [row] = (await repeatable(async () => await statement.execute(db))).rows
  if (row === undefined) throw new Error('the look for work answered no row')
  const live = new Set(row.live ?? [])
  return { mayLease: row.queued || row.held, live: asks.map((_, ord) => live.has(ord)) }
}
