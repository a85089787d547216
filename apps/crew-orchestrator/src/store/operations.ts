import type {
  Operation,
  OperationAction,
  OperationFailure,
  OperationFilter,
  OperationState,
} from '@hypercode/contracts'
import type { Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { Tally } from '../domain/operations.ts'

interface Row {
  id: string
  tenant_id: string
  action: OperationAction
  filter: OperationFilter
  reason: string | null
  state: OperationState
  matched: number
  position: number
  done: number
  skipped: number
  failed: number
  failures: OperationFailure[]
  created_by: string
  created_at: Date
  turned_at: Date
  aborted_by: string | null
  ended_at: Date | null
  correlation_id: string
}

const COLUMNS =
  sql.raw(`o.id, o.tenant_id, o.action, o.filter, o.reason, o.state, o.matched, o.position, o.done, o.skipped, o.failed, o.failures,
  o.created_by, o.created_at, o.turned_at, o.aborted_by, o.ended_at, o.correlation_id`)

const toOperation = (row: Row): Operation => ({
  id: row.id,
  action: row.action,
  filter: row.filter,
  ...(row.reason === null ? {} : { reason: row.reason }),
  state: row.state,
  matched: row.matched,
  done: row.done,
  skipped: row.skipped,
  failed: row.failed,
  failures: row.failures,
  createdBy: row.created_by,
  createdAt: row.created_at.toISOString(),
  progressAt: row.turned_at.toISOString(),
  ...(row.aborted_by === null ? {} : { abortedBy: row.aborted_by }),
  ...(row.ended_at === null ? {} : { endedAt: row.ended_at.toISOString() }),
  correlationId: row.correlation_id,
})

async function read(db: Db, rest: RawBuilder<unknown>): Promise<Operation[]> {
  return (await sql<Row>`select ${COLUMNS} from operations o ${rest}`.execute(db)).rows.map(toOperation)
}

export async function findOperation(db: Db, tenantId: string, id: string): Promise<Operation | undefined> {
  return (await read(db, sql`where o.id = ${id} and o.tenant_id = ${tenantId}`))[0]
}

export interface OperationQuery {
  limit: number
  cursor?: string | undefined
  state?: OperationState | undefined
}

/** Newest first; the cursor is the id of the last one of the page before. */
export async function listOperations(db: Db, tenantId: string, query: OperationQuery): Promise<Operation[]> {
  return await read(
    db,
    sql`where o.tenant_id = ${tenantId}
      ${query.cursor === undefined ? sql`` : sql`and o.id < ${query.cursor}::uuid`}
      ${query.state === undefined ? sql`` : sql`and o.state = ${query.state}`}
      order by o.id desc limit ${query.limit}`,
  )
}

/** Operations of a tenant begin one after another, so that their number and their keys are what they seem. */
export async function lockBeginnings(trx: Trx, tenantId: string): Promise<void> {
  await sql`select from tenants where id = ${tenantId} for no key update`.execute(trx)
}

export async function countOpen(trx: Trx, tenantId: string): Promise<number> {
  const found = await sql<{ n: number }>`
    select count(*) as n from operations where tenant_id = ${tenantId} and ended_at is null`.execute(trx)
  return found.rows[0]?.n ?? 0
}

export async function findByKey(
  trx: Trx,
  tenantId: string,
  key: string,
): Promise<{ id: string; requestHash: string } | undefined> {
  const found = await sql<{ id: string; requestHash: string }>`
    select id, request_hash as "requestHash" from operations where tenant_id = ${tenantId} and idempotency_key = ${key}`.execute(
    trx,
  )
  return found.rows[0]
}

export interface NewOperation {
  id: string
  tenantId: string
  action: OperationAction
  filter: OperationFilter
  reason: string | undefined
  idempotencyKey: string | undefined
  requestHash: string
  correlationId: string
  createdBy: string
  targets: readonly string[]
}

/** Stores an operation with all its targets. One without targets has ended. */
export async function insertOperation(trx: Trx, order: NewOperation): Promise<Operation> {
  const { tenantId, action, filter, targets } = order
  const stored = await sql<Row>`
    insert into operations as o (id, tenant_id, action, filter, reason, idempotency_key, request_hash, correlation_id, created_by, targets, matched, state, ended_at)
    values (${order.id}::uuid, ${tenantId}::uuid, ${action}, ${JSON.stringify(filter)}::jsonb, ${order.reason ?? null}, ${order.idempotencyKey ?? null},
      ${order.requestHash}, ${order.correlationId}, ${order.createdBy}, ${targets}::uuid[], ${targets.length},
      ${targets.length === 0 ? 'completed' : 'running'}, ${targets.length === 0 ? sql`now()` : null}) returning ${COLUMNS}`.execute(
    trx,
  )
  return toOperation(stored.rows[0] as Row)
}

/** Asks for the end of an operation; false when it does not run. */
export async function askToAbort(trx: Trx, tenantId: string, id: string, actor: string): Promise<boolean> {
  const changed = await sql`
    update operations set state = 'aborting', aborted_by = ${actor} where id = ${id} and tenant_id = ${tenantId} and state = 'running'`.execute(
    trx,
  )
  return changed.numAffectedRows === 1n
}

/** A part of the targets of an operation, which nobody else takes for a moment. */
export interface Batch extends Tally {
  id: string
  tenantId: string
  action: OperationAction
  reason: string | null
  createdBy: string
  correlationId: string
  targets: string[]
}

/** Takes the operation whose last turn is longest ago. One that is to be aborted, or is too old, comes without targets. */
export async function claimBatch(
  db: Db,
  { claimMs, size, longestMs }: { claimMs: number; size: number; longestMs: number },
): Promise<Batch | undefined> {
  const found = await sql<Row & { ids: string[] }>`
    update operations o set claimed_until = now() + ${claimMs} * interval '1 millisecond' where o.id = (
      select c.id from operations c where c.ended_at is null and coalesce(c.claimed_until <= now(), true)
      order by c.turned_at, c.id limit 1 for no key update skip locked)
    returning ${COLUMNS}, case when o.state = 'running' and o.created_at > now() - ${longestMs} * interval '1 millisecond'
      then o.targets[o.position + 1 : o.position + ${size}] else '{}' end as ids`.execute(db)
  return found.rows.map((row) => ({
    id: row.id,
    tenantId: row.tenant_id,
    action: row.action,
    reason: row.reason,
    createdBy: row.created_by,
    correlationId: row.correlation_id,
    position: row.position,
    done: row.done,
    skipped: row.skipped,
    failed: row.failed,
    failures: row.failures,
    targets: row.ids,
  }))[0]
}

/**
 * Writes how far an operation is, and ends it when that is all, or as far as it shall get. Does nothing when somebody else has gone on
 * from the same place: what they found done they have counted. `restMs` is how long everybody keeps off it.
 */
export async function moveOn(
  db: Db,
  id: string,
  from: number,
  to: Tally,
  { restMs, longestMs }: { restMs: number; longestMs: number },
): Promise<void> {
  await sql`
    with n as (
      select o.id, case when ${to.position} = o.matched then 'completed' when o.state = 'aborting' then 'aborted'
        when o.created_at <= now() - ${longestMs} * interval '1 millisecond' then 'failed' else 'running' end as state
      from operations o where o.id = ${id} and o.position = ${from} and o.ended_at is null for no key update)
    update operations o set position = ${to.position}, done = ${to.done}, skipped = ${to.skipped}, failed = ${to.failed},
      failures = ${JSON.stringify(to.failures)}::jsonb, turned_at = now(), state = n.state,
      claimed_until = case when n.state = 'running' then now() + ${restMs} * interval '1 millisecond' end,
      targets = case when n.state = 'running' then o.targets else '{}' end,
      ended_at = case when n.state = 'running' then null else now() end
    from n where o.id = n.id`.execute(db)
}
