import type { Budget } from '@hypercode/contracts'
import type { OutboxRow } from '@hypercode/events'
import { recordset, repeatable } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { MissionFacts } from '../domain/facts.ts'
import { NOTHING_HANDED } from '../domain/hand-over.ts'
import type { HandOver } from '../domain/hand-over.ts'
import type { Ledger } from '../domain/ledger.ts'
import { insertApprovals } from './approvals.ts'
import { insertBudgets } from './budgets.ts'
import { hintOf } from './commit-news.ts'
import { gate, openAttempts } from './hand-over.ts'
import { insertDeadLetters, insertEdges, insertEvents, insertTasks } from './insert-fragments.ts'

/** A mission that was planned and is to be stored. */
export interface NewMissionRow {
  mission: MissionFacts
  ledger: Ledger
  crewVersion: number | null
  /** Is left out when its crew has a newer version. */
  isRemembered: boolean
  /** Kept for a crew that is not stored itself. */
  manifest: unknown
  labels: Record<string, string>
  priority: number
  idempotencyKey: string | null
  /** SHA-256 of the request, in hex; tells a repeat from another request with the same key. */
  requestHash: string
  deadlineMs: number | null
  budget: Budget | null
  createdBy: string
  within: Within | null
  parentMissionId: string | null
  /** Characters that it takes to store it, about. */
  chars: number
}

/** Of a mission that a task of another one has begun. */
export interface Within {
  parentTaskId: string
  /** The outermost mission, and how many stand around this one. */
  rootId: string
  depth: number
}

export interface Submitted {
  /** Ids of the missions that are stored now; what is missing met its idempotency key, or a newer version of its crew. */
  stored: ReadonlySet<string>
  outbox: OutboxRow | undefined
  /** What was to be handed over was; otherwise it is queued. */
  isHanded: boolean
}

/** Versions of a crew have no gaps. */
const ONLY_NEWEST = sql`where not (r.is_remembered and exists (
  select from crews c where c.tenant_id = r.tenant_id and c.name = r.crew and c.version = r.crew_version + 1))`
const ONLY_STORED = sql`where r.mission_id in (select id from stored)`
const ONLY_HANDED = sql`where exists (select from gate) and r.mission_id in (select id from stored)`

/**
 * Stores missions with their tasks, events, audit rows and outbox row in one statement, whatever their number. A mission that exists
 * already, by its idempotency key or by its id when this is repeated after a lost reply, is left out, with everything that belongs to it.
 */
export async function storeMissions(
  db: Db,
  orders: readonly NewMissionRow[],
  over: HandOver = NOTHING_HANDED,
): Promise<Submitted> {
  const isHanding = over.hands.size > 0
  const hints = orders.map(({ mission }) => hintOf(mission))
  const handedHints = orders.map(({ mission }) => hintOf(mission, over.eventsOf.get(mission.id)))
  const edges = orders.flatMap((order) => order.ledger.edges.map((edge) => ({ ...edge, missionId: order.mission.id })))
  const events = orders.flatMap((order) =>
    order.ledger.events.map((event) => ({ ...event, tenantId: order.mission.tenantId })),
  )
  const budgets = orders.flatMap(({ budget, mission: { id: missionId, tenantId } }) =>
    budget === null ? [] : [{ ...budget, missionId, tenantId }],
  )
  const letters = orders.flatMap((order) => order.ledger.deadLetters)
  const asking = orders.map((order) => order.ledger).filter((ledger) => ledger.approvals.length > 0)
  const statement = sql<{ stored: string[] | null; outbox_id: number | null; is_handed: boolean }>`
    with ${isHanding ? sql`${gate(over)},` : sql``} stored as (${insertMissions(orders, over)}),
      tasks_in as (${insertTasks(
        orders.flatMap((order) => [...order.ledger.added]),
        ONLY_STORED,
        over,
      )}),
      ${isHanding ? sql`${openAttempts(['tasks_in'])}, claims_told as (${insertEvents(handedEvents(orders, over), ONLY_HANDED)}),` : sql``}
      ${edges.length === 0 ? sql`` : sql`edges_in as (${insertEdges(edges, sql`where r.task_id in (select t.id from ${taskMissions(orders)} join stored s on s.id = t.mission_id)`)}),`}
      ${asking.length === 0 ? sql`` : sql`approvals_in as (${insertApprovals(asking, ONLY_STORED)}),`}
      ${budgets.length === 0 ? sql`` : sql`budgets_in as (${insertBudgets(budgets, ONLY_STORED)}),`}
      ${letters.length === 0 ? sql`` : sql`letters_in as (${insertDeadLetters(letters, ONLY_STORED)}),`}
      events_in as (${insertEvents(events, ONLY_STORED)}),
      audit_in as (insert into audit (tenant_id, actor, action, ref)
        select tenant_id, created_by, 'mission.submitted', id::text from stored),
      outbox_in as (insert into outbox (payload)
        select jsonb_agg(${isHanding ? sql`case when exists (select from gate) then h.handed_hint else h.hint end` : sql`h.hint`}) from ${recordset(
          hints.map((hint, index) => ({ id: hint.missionId, hint, handed_hint: handedHints[index] })),
          'h',
          isHanding ? 'id uuid, hint jsonb, handed_hint jsonb' : 'id uuid, hint jsonb',
        )}
        where h.id in (select id from stored) having count(*) > 0 returning id)
    select (select array_agg(id) from stored) as stored, (select id from outbox_in) as outbox_id,
      ${isHanding ? sql`exists (select from gate)` : sql`false`} as is_handed`
  const result = await repeatable(async () => await statement.execute(db))
  const row = result.rows[0]
  const stored = new Set(row?.stored ?? [])
  const isHanded = row?.is_handed ?? false
  const sent = (isHanded ? handedHints : hints).filter((hint) => stored.has(hint.missionId))
  return { stored, isHanded, outbox: row?.outbox_id == null ? undefined : { id: row.outbox_id, hints: sent } }
}

function insertMissions(orders: readonly NewMissionRow[], over: HandOver) {
  const isHanding = over.hands.size > 0
  const moved = (handed: string, otherwise: string) =>
    sql.raw(isHanding ? `case when g.open then ${handed} else ${otherwise} end` : otherwise)
  return sql`insert into missions (id, tenant_id, crew, crew_version, manifest, input, output, error, state, priority, labels, idempotency_key, request_hash,
      total_tasks, open_tasks, on_task_failure, deadline_at, correlation_id, traceparent, created_by, event_seq, output_chars, parent_mission_id, parent_task_id, root_id, depth, ended_at, started_at)
    select r.id, r.tenant_id, r.crew, r.crew_version, r.manifest, r.input, r.output, r.error, ${moved(`'running'`, 'r.state')}, r.priority, r.labels, r.idempotency_key,
      decode(r.request_hash, 'hex'), r.total_tasks, r.open_tasks, r.on_task_failure, now() + r.deadline_ms * interval '1 millisecond',
      r.correlation_id, r.traceparent, r.created_by, ${moved('r.event_seq + r.handed_events', 'r.event_seq')}, r.output_chars, r.parent_mission_id, r.parent_task_id, r.root_id, r.depth, case when r.open_tasks = 0 then now() end, ${moved('now()', 'null::timestamptz')}
    from ${missionRecords(orders, over)} ${isHanding ? sql`left join gate g on r.handed_events > 0` : sql``} ${orders.some(({ isRemembered }) => isRemembered) ? ONLY_NEWEST : sql``}
    on conflict do nothing returning id, tenant_id, created_by`
}

function missionRecords(orders: readonly NewMissionRow[], { eventsOf }: HandOver) {
  const rows = orders.map(({ mission, ...order }) => ({
    id: mission.id,
    tenant_id: mission.tenantId,
    crew: mission.crew,
    crew_version: order.crewVersion,
    is_remembered: order.isRemembered,
    manifest: order.manifest ?? null,
    input: mission.input ?? null,
    output: mission.output ?? null,
    error: mission.error,
    state: mission.state,
    priority: order.priority,
    labels: order.labels,
    idempotency_key: order.idempotencyKey,
    request_hash: order.requestHash,
    total_tasks: mission.totalTasks,
    open_tasks: mission.openTasks,
    on_task_failure: mission.onTaskFailure,
    deadline_ms: order.deadlineMs,
    correlation_id: mission.correlationId,
    traceparent: mission.traceparent,
    created_by: order.createdBy,
    event_seq: mission.eventSeq,
    output_chars: mission.outputChars,
    parent_mission_id: order.parentMissionId,
    parent_task_id: order.within?.parentTaskId ?? null,
    root_id: order.within?.rootId ?? null,
    depth: order.within?.depth ?? 0,
    handed_events: eventsOf.get(mission.id) ?? 0,
  }))
  return recordset(
    rows,
    'r',
    `id uuid, tenant_id uuid, crew text, crew_version int, is_remembered boolean, manifest jsonb, input jsonb, output jsonb, error jsonb, state text, priority smallint,
     labels jsonb, idempotency_key text, request_hash text, total_tasks int, open_tasks int, on_task_failure text, deadline_ms bigint,
     correlation_id text, traceparent text, created_by text, event_seq int, output_chars bigint, parent_mission_id uuid, parent_task_id uuid, root_id uuid, depth smallint${eventsOf.size > 0 ? ', handed_events int' : ''}`,
  )
}

const taskMissions = (orders: readonly NewMissionRow[]) =>
  recordset(
    orders.flatMap((order) =>
      Array.from(order.ledger.added, (task) => ({ id: task.id, mission_id: order.mission.id })),
    ),
    't',
    'id uuid, mission_id uuid',
  )

function handedEvents(orders: readonly NewMissionRow[], { events }: HandOver) {
  const tenants = new Map(orders.map(({ mission }) => [mission.id, mission.tenantId]))
  return events.map((event) => ({ ...event, tenantId: tenants.get(event.missionId) as string }))
}

export interface KnownMission {
  id: string
  idempotencyKey: string | null
  tenantId: string
  requestHash: string
}

/** The missions that hold these idempotency keys, or these ids. */
export async function findExisting(
  db: Db,
  missions: readonly { id: string; tenantId: string; idempotencyKey: string | null }[],
): Promise<KnownMission[]> {
  const rows = recordset(
    missions.map((one) => ({ id: one.id, tenant_id: one.tenantId, idempotency_key: one.idempotencyKey })),
    'k',
    'id uuid, tenant_id uuid, idempotency_key text',
  )
  const columns = sql.raw(
    `m.id, m.idempotency_key as "idempotencyKey", m.tenant_id as "tenantId", encode(m.request_hash, 'hex') as "requestHash"`,
  )
  const found = await sql<KnownMission>`
    select ${columns} from ${rows} join missions m using (tenant_id, idempotency_key)
    union all
    select ${columns} from ${rows} join missions m using (tenant_id, id) where k.idempotency_key is null`.execute(db)
  return found.rows
}
