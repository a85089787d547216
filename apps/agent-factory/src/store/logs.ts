import type { Db } from '@hypercode/db'
import { inTransaction } from '@hypercode/db'
import { sql } from 'kysely'

export interface LogLine {
  readonly seq: number
  readonly at: Date
  readonly line: string
}

/** From which launch lines were read, and from where. */
export interface LogSource {
  readonly instanceId: string
  readonly tenantId: string
  readonly launchId: string
  readonly cursor: number
}

/** Keeps lines once, however often they are read: false when somebody has read on from there before. */
export async function appendLines(
  db: Db,
  source: LogSource,
  lines: readonly string[],
  nextCursor: number,
  linesMax: number,
): Promise<boolean> {
  const { instanceId, tenantId, launchId, cursor } = source
  return await inTransaction(db, async (trx) => {
    const moved = await sql<{
      last: number
    }>`update factory_instances set log_cursor = ${nextCursor}, log_seq = log_seq + ${lines.length}
      where id = ${instanceId} and launch_id = ${launchId} and log_cursor = ${cursor} returning log_seq as last`.execute(
      trx,
    )
    const last = moved.rows[0]?.last
    if (last === undefined) return false
    await sql`insert into instance_logs (instance_id, seq, tenant_id, line)
      select ${instanceId}, ${last - lines.length} + l.nth, ${tenantId}, l.line
      from unnest(${[...lines]}::text[]) with ordinality as l (line, nth)`.execute(trx)
    await sql`delete from instance_logs where instance_id = ${instanceId} and seq <= ${last - linesMax}`.execute(trx)
    return true
  })
}

export interface LogPage {
  readonly lines: readonly LogLine[]
  /** Nothing will be added any more. */
  readonly isOver: boolean
}

/** Lines after a number; undefined when the tenant has no such instance. */
export async function readLines(
  db: Db,
  tenantId: string,
  instanceId: string,
  after: number,
  limit: number,
): Promise<LogPage | undefined> {
  const head = await sql<{ isOver: boolean }>`select ended_at is not null as "isOver" from factory_instances
    where id = ${instanceId} and tenant_id = ${tenantId}`.execute(db)
  const found = head.rows[0]
  if (found === undefined) return undefined
  const lines = await sql<LogLine>`select seq, at, line from instance_logs
    where instance_id = ${instanceId} and seq > ${after} order by seq limit ${limit}`.execute(db)
  return { lines: lines.rows, isOver: found.isOver }
}

/** Deletes lines of instances that ended long ago; answers how many. */
export async function deleteOldLines(db: Db, keepMs: number, limit = 5000): Promise<number> {
  const deleted = await sql`delete from instance_logs where (instance_id, seq) in (
    select l.instance_id, l.seq from instance_logs l join factory_instances f on f.id = l.instance_id
    where f.ended_at < now() - ${keepMs} * interval '1 millisecond' limit ${limit})`.execute(db)
  return Number(deleted.numAffectedRows ?? 0n)
}
