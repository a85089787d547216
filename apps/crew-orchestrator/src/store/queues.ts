import type { Queue } from '@hypercode/contracts'
import type { Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'

/** Queued tasks of a queue that are counted, and looked at for the oldest. */
export const COUNTED_MAX = 20_000

interface Row {
  queue: string
  paused_at: Date | null
  paused_by: string | null
  max_executing: number | null
  depth: number
  oldest_at: Date | null
  oldest_age_ms: number | null
  executing: number
}

export interface QueueFilter {
  limit: number
  /** Name of the last queue of the page before. */
  cursor?: string | undefined
  only?: string | undefined
}

/** By name: every queue with tasks that are queued or execute, or with settings. */
export async function listQueues(
  db: Db,
  tenantId: string,
  { limit, cursor = '', only }: QueueFilter,
): Promise<Queue[]> {
  const names =
    only === undefined
      ? sql`select distinct queue from (select queue from walk union all select queue from running
          union all select queue from queue_controls where tenant_id = ${tenantId}) q where queue > ${cursor} order by queue limit ${limit}`
      : sql`select ${only}::text as queue`
  const found = await sql<Row>`
    with recursive walk as (
      (select t.queue from tasks t where t.tenant_id = ${tenantId} and t.state = 'queued' and t.queue > ${cursor} order by t.queue limit 1)
      union all
      select next.queue from walk w cross join lateral (
        select t.queue from tasks t where t.tenant_id = ${tenantId} and t.state = 'queued' and t.queue > w.queue order by t.queue limit 1) next),
    running as (select queue, count(*) as n from tasks where tenant_id = ${tenantId} and lease_owner is not null group by queue),
    names as (${names})
    select n.queue, c.paused_at, c.paused_by, c.max_executing, waiting.depth, waiting.oldest_at,
      extract(epoch from now() - waiting.oldest_at) * 1000 as oldest_age_ms, coalesce(r.n, 0) as executing
    from names n left join queue_controls c on c.tenant_id = ${tenantId} and c.queue = n.queue left join running r on r.queue = n.queue
    cross join lateral (
      select count(*) as depth, min(available_at) as oldest_at from (
        select t.available_at from tasks t where t.tenant_id = ${tenantId} and t.queue = n.queue and t.state = 'queued' limit ${COUNTED_MAX}) q) waiting
    order by n.queue`.execute(db)
  return found.rows.map(toQueue)
}

const toQueue = (row: Row): Queue => ({
  queue: row.queue,
  paused: row.paused_at !== null,
  ...(row.paused_at === null ? {} : { pausedAt: row.paused_at.toISOString() }),
  ...(row.paused_by === null ? {} : { pausedBy: row.paused_by }),
  ...(row.max_executing === null ? {} : { maxExecuting: row.max_executing }),
  depth: row.depth,
  ...(row.oldest_at === null ? {} : { oldestQueuedAt: row.oldest_at.toISOString() }),
  ...(row.oldest_age_ms === null ? {} : { oldestAgeMs: Math.max(0, Math.round(row.oldest_age_ms)) }),
  executing: row.executing,
})

export interface QueueControl {
  paused_at: Date | null
  paused_by: string | null
  max_executing: number | null
}

/** What is said of a queue, locked; nothing for one that runs without a limit. */
export async function lockControl(trx: Trx, tenantId: string, queue: string): Promise<QueueControl | undefined> {
  const found = await sql<QueueControl>`
    select paused_at, paused_by, max_executing from queue_controls where tenant_id = ${tenantId} and queue = ${queue} for update`.execute(
    trx,
  )
  return found.rows[0]
}

/** Says it anew. A control that says nothing is taken away. */
export async function saveControl(
  trx: Trx,
  tenantId: string,
  queue: string,
  { pausedBy, maxExecuting }: { pausedBy: string | null; maxExecuting: number | null },
): Promise<void> {
  if (pausedBy === null && maxExecuting === null) {
    await sql`delete from queue_controls where tenant_id = ${tenantId} and queue = ${queue}`.execute(trx)
    return
  }
  await sql`
    insert into queue_controls as c (tenant_id, queue, paused_at, paused_by, max_executing)
    values (${tenantId}, ${queue}, case when ${pausedBy}::text is not null then now() end, ${pausedBy}, ${maxExecuting}::int)
    on conflict (tenant_id, queue) do update set paused_by = excluded.paused_by, max_executing = excluded.max_executing, updated_at = now(),
      paused_at = case when excluded.paused_at is not null then coalesce(c.paused_at, excluded.paused_at) end`.execute(
    trx,
  )
}

/** Queues with a control, so that names which nobody uses do not pile up. */
export async function countControls(trx: Trx, tenantId: string): Promise<number> {
  const found = await sql<{
    n: number
  }>`select count(*) as n from queue_controls where tenant_id = ${tenantId}`.execute(trx)
  return found.rows[0]?.n ?? 0
}
