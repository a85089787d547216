/**
 * The one way in which the fleet (agents, their processes, blueprints, gym verdicts) changes: a transaction that holds the event heads of its tenants from the start, so that events are
 * numbered without gaps and registrations of a tenant come one after the other. Lock order: heads by tenant, instances by subject, tasks by id.
 */
import { inTransaction, recordset, writeAudit } from '@hypercode/db'
import type { AuditEntry, Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'
import { numberEvents } from './fleet-event.ts'
import type { FleetEventDraft, NumberedEvent } from './fleet-event.ts'
import type { Hint } from './hints.ts'
import { addToOutbox } from './outbox.ts'
import type { OutboxRow } from './outbox.ts'

/** What a change has to tell; it is written with the change. */
export interface FleetJournal {
  /** Tenants that exist, of those asked for. */
  readonly tenants: ReadonlySet<string>
  add(...events: FleetEventDraft[]): void
  audit(...entries: AuditEntry[]): void
}

/** Takes a committed row to the stream, and never throws. */
export type Publish = (row: OutboxRow) => void

/** Runs `work` in one transaction, writes its events, audit rows and hints, and publishes the hints after the commit. */
export async function changeFleet<T>(
  db: Db,
  publish: Publish,
  tenantIds: readonly string[],
  work: (trx: Trx, journal: FleetJournal) => Promise<T>,
): Promise<T> {
  const { result, row } = await inTransaction(db, async (trx) => {
    const heads = await holdHeads(trx, tenantIds)
    const drafts: FleetEventDraft[] = []
    const entries: AuditEntry[] = []
    const result = await work(trx, {
      tenants: new Set(heads.keys()),
      add: (...events) => void drafts.push(...events),
      audit: (...more) => void entries.push(...more),
    })
    await writeAudit(trx, entries)
    return { result, row: await writeEvents(trx, drafts, heads) }
  })
  if (row !== undefined) publish(row)
  return result
}

/** Locks the heads of the tenants that exist, in one order for everybody, and answers their last numbers. */
async function holdHeads(trx: Trx, tenantIds: readonly string[]): Promise<Map<string, number>> {
  const wanted = [...new Set(tenantIds)].sort()
  const heads = await lockHeads(trx, wanted)
  const missing = wanted.filter((id) => !heads.has(id))
  if (missing.length === 0) return heads
  await sql`insert into agent_event_heads (tenant_id, seq)
    select id, 0 from tenants where id = any(${missing}::uuid[]) order by id on conflict do nothing`.execute(trx)
  return await lockHeads(trx, wanted)
}

async function lockHeads(trx: Trx, tenantIds: readonly string[]): Promise<Map<string, number>> {
  const heads = await trx
    .selectFrom('agent_event_heads')
    .select(['tenant_id', 'seq'])
    .where('tenant_id', 'in', tenantIds)
    .orderBy('tenant_id')
    .forUpdate()
    .execute()
  return new Map(heads.map((head) => [head.tenant_id, head.seq]))
}

async function writeEvents(
  trx: Trx,
  drafts: readonly FleetEventDraft[],
  before: ReadonlyMap<string, number>,
): Promise<OutboxRow | undefined> {
  if (drafts.length === 0) return undefined
  const { events, heads } = numberEvents(drafts, before)
  await sql`insert into agent_events (tenant_id, seq, type, agent_id, instance_id, ref, body, at)
    select e.tenant_id, e.seq, e.type, e.agent_id, e.instance_id, e.ref, e.body, clock_timestamp()
    from ${recordset(events.map(eventRow), 'e', EVENT_COLUMNS)} order by e.tenant_id, e.seq`.execute(trx)
  const moved = [...heads].map(([tenant_id, seq]) => ({ tenant_id, seq }))
  await sql`update agent_event_heads h set seq = r.seq
    from ${recordset(moved, 'r', 'tenant_id uuid, seq bigint')} where h.tenant_id = r.tenant_id`.execute(trx)
  const hints = moved.map(({ tenant_id, seq }): Hint => ({ kind: 'agents', tenantId: tenant_id, seq }))
  return await addToOutbox(trx, hints)
}

const EVENT_COLUMNS = 'tenant_id uuid, seq bigint, type text, agent_id uuid, instance_id uuid, ref text, body jsonb'

const eventRow = (event: NumberedEvent): object => ({
  tenant_id: event.tenantId,
  seq: event.seq,
  type: event.type,
  agent_id: event.agentId ?? null,
  instance_id: event.instanceId ?? null,
  ref: event.ref ?? null,
  body: event.body,
})
