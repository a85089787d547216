import type { Approval } from '@hypercode/contracts'
import { readPage, recordset } from '@hypercode/db'
import type { Cut, Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { ApprovalFacts, DueApproval } from '../domain/approvals.ts'
import type { Ledger } from '../domain/ledger.ts'

interface Row {
  id: string
  mission_id: string
  task_id: string
  task_key: string
  wait: string | null
  verifies: number | null
  title: string
  data: unknown
  hash: string
  approvers: string[]
  quorum: number
  round: number
  state: Approval['state']
  on_timeout: Approval['onTimeout']
  deadline_at: Date | null
  escalated_at: Date | null
  created_at: Date
  decided_at: Date | null
  decisions: (Omit<Approval['decisions'][number], 'comment'> & { comment: string | null })[] | null
}

export interface ApprovalFilter {
  limit: number
  /** Where the page before ended: `open/<id>` or `closed/<id>`. */
  cursor?: { closed: boolean; id: string } | undefined
  state?: Approval['state'] | undefined
  missionId?: string | undefined
}

const DECISIONS = sql`(select json_agg(json_build_object('subject', d.subject, 'verdict', d.verdict, 'round', d.round, 'comment', d.comment, 'at', d.at)
  order by d.at, d.round) from approval_decisions d where d.approval_id = a.id) as decisions`

/** Open ones first, then newest first. */
export async function listApprovals(db: Db, tenantId: string, filter: ApprovalFilter): Promise<Cut<Approval>> {
  const { cursor, state, missionId, limit } = filter
  const rows = sql`
    select a.*, a.state <> 'open' as closed, ${DECISIONS} from approvals a where a.tenant_id = ${tenantId}
      ${state === undefined ? sql`` : sql`and a.state = ${state}`}
      ${missionId === undefined ? sql`` : sql`and a.mission_id = ${missionId}`}
      ${cursor === undefined ? sql`` : sql`and ((a.state <> 'open') > ${cursor.closed} or ((a.state <> 'open') = ${cursor.closed} and a.id < ${cursor.id}::uuid))`}
    order by (a.state <> 'open'), a.id desc limit ${limit}`
  const page = await readPage<Row>(db, rows, sql`octet_length(p.data::text)`, sql`p.closed, p.id desc`)
  return { ...page, rows: page.rows.map(toApproval) }
}

export async function findApproval(db: Db, tenantId: string, id: string): Promise<Approval | undefined> {
  const found = await sql<Row>`
    select a.*, ${DECISIONS} from approvals a where a.id = ${id} and a.tenant_id = ${tenantId}`.execute(db)
  const [row] = found.rows
  return row === undefined ? undefined : toApproval(row)
}

const toApproval = (row: Row): Approval => ({
  id: row.id,
  missionId: row.mission_id,
  taskId: row.task_id,
  taskKey: row.task_key,
  ...(row.wait === null ? {} : { wait: row.wait }),
  ...(row.verifies === null ? {} : { verifies: row.verifies }),
  title: row.title,
  data: row.data,
  hash: row.hash,
  approvers: row.approvers,
  quorum: row.quorum,
  round: row.round,
  state: row.state,
  onTimeout: row.on_timeout,
  ...(row.deadline_at === null ? {} : { deadlineAt: row.deadline_at.toISOString() }),
  ...(row.escalated_at === null ? {} : { escalatedAt: row.escalated_at.toISOString() }),
  createdAt: row.created_at.toISOString(),
  ...(row.decided_at === null ? {} : { decidedAt: row.decided_at.toISOString() }),
  decisions: (row.decisions ?? []).map(({ comment, ...decision }) => ({
    ...decision,
    ...(comment === null ? {} : { comment }),
    at: new Date(decision.at).toISOString(),
  })),
})

/** An approval that is being decided; its mission is locked, and so is it. */
export interface LockedApproval extends ApprovalFacts {
  state: Approval['state']
  hash: string
  approvers: readonly string[]
  quorum: number
  round: number
  late: boolean
  /** Name of the API client who decides, when it is one of the tenant. */
  clientName: string | null
  /** The clients who approved in this round. */
  approvedBy: readonly string[]
  /** Whether this client has decided in this round. */
  decided: boolean
}

export async function lockApproval(trx: Trx, id: string, client: string): Promise<LockedApproval | undefined> {
  const found = await sql<LockedApproval>`
    select a.id, a.wait, a.verifies, a.data, a.round > 1 as edited, a.on_timeout as "onTimeout", a.state, a.hash, a.approvers, a.quorum, a.round,
      coalesce(a.deadline_at <= now(), false) as late,
      (select c.name from clients c where c.tenant_id = a.tenant_id and c.id::text = ${client}) as "clientName",
      coalesce((select array_agg(d.client) from approval_decisions d where d.approval_id = a.id and d.round = a.round and d.verdict <> 'reject'), '{}') as "approvedBy",
      exists (select from approval_decisions d where d.approval_id = a.id and d.round = a.round and d.client = ${client}) as decided
    from approvals a where a.id = ${id} for no key update of a`.execute(trx)
  return found.rows[0]
}

export interface NewDecision {
  tenantId: string
  approvalId: string
  round: number
  client: string
  subject: string
  verdict: 'approve' | 'reject' | 'edit'
  comment: string | null
  hash: string
}

export async function storeDecision(trx: Trx, decision: NewDecision): Promise<void> {
  const { tenantId, approvalId, ...rest } = decision
  await trx
    .insertInto('approval_decisions')
    .values({ ...rest, approval_id: approvalId, tenant_id: tenantId })
    .execute()
}

/** A1: the data is another from now on, and every decision so far is about what it was. */
export async function editData(trx: Trx, id: string, data: unknown, hash: string): Promise<void> {
  await sql`update approvals set data = ${JSON.stringify(data ?? null)}::jsonb, hash = ${hash}, round = round + 1 where id = ${id}`.execute(
    trx,
  )
}

/** The open approvals of tasks whose time has come, by task. Their missions are locked. */
export async function readDueApprovals(trx: Trx, taskIds: readonly string[]): Promise<Map<string, DueApproval>> {
  if (taskIds.length === 0) return new Map()
  const found = await sql<DueApproval & { taskId: string }>`
    select a.task_id as "taskId", a.id, a.wait, a.verifies, a.data, a.round > 1 as edited, a.on_timeout as "onTimeout", coalesce(a.deadline_at <= now(), false) as expired,
      coalesce(a.escalate_at <= now() and a.escalated_at is null, false) as escalates,
      ceil(extract(epoch from a.deadline_at - now()) * 1000)::bigint as "leftMs"
    from approvals a where a.task_id = any(${taskIds}::uuid[]) and a.state = 'open'`.execute(trx)
  return new Map(found.rows.map((row) => [row.taskId, row]))
}

/** The parts by which a ledger with approvals is saved, each with its number of rows. */
export const approvalParts = (ledger: Ledger): [name: string, rows: number, part: () => RawBuilder<unknown>][] => [
  ['approvals_in', ledger.approvals.length, () => insertApprovals([ledger])],
  ['approvals_closed', ledger.closedApprovals.length, () => closeApprovals(ledger)],
  ['approvals_withdrawn', withdrawnOf(ledger).length, () => withdrawApprovals(ledger)],
  ['approvals_escalated', ledger.escalatedApprovals.length, () => escalateApprovals(ledger)],
]

/**
 * `only` may hold a where clause over the rows `r`. A task that was asked about and canceled in one transaction leaves an approval that is
 * withdrawn from the beginning: the statement that inserts it could not change it.
 */
export function insertApprovals(ledgers: readonly Ledger[], only: RawBuilder<unknown> = sql``) {
  const asked = ledgers.flatMap(({ approvals, unasked }) =>
    approvals.map((approval) => ({ ...approval, state: unasked.has(approval.taskId) ? 'withdrawn' : 'open' })),
  )
  const rows = asked.map((approval) => ({
    id: approval.id,
    tenant_id: approval.tenantId,
    mission_id: approval.missionId,
    task_id: approval.taskId,
    task_key: approval.taskKey,
    wait: approval.wait,
    verifies: approval.verifies,
    title: approval.title,
    data: approval.data ?? null,
    hash: approval.hash,
    approvers: approval.approvers,
    quorum: approval.quorum,
    state: approval.state,
    on_timeout: approval.onTimeout,
    deadline_ms: approval.deadlineMs,
    escalate_ms: approval.escalate?.afterMs ?? null,
    escalate_to: approval.escalate?.approvers ?? [],
  }))
  return sql`insert into approvals (id, tenant_id, mission_id, task_id, task_key, wait, verifies, title, data, hash, approvers, quorum, state, on_timeout,
      deadline_at, escalate_at, escalate_to, decided_at)
    select r.id, r.tenant_id, r.mission_id, r.task_id, r.task_key, r.wait, r.verifies, r.title, coalesce(r.data, 'null'), r.hash, r.approvers, r.quorum, r.state, r.on_timeout,
      now() + r.deadline_ms * interval '1 millisecond', now() + r.escalate_ms * interval '1 millisecond', r.escalate_to,
      case when r.state = 'withdrawn' then now() end
    from ${recordset(
      rows,
      'r',
      `id uuid, tenant_id uuid, mission_id uuid, task_id uuid, task_key text, wait text, verifies int, title text, data jsonb, hash text, approvers text[], quorum int, state text,
       on_timeout text, deadline_ms bigint, escalate_ms bigint, escalate_to text[]`,
    )} ${only}`
}

function closeApprovals({ closedApprovals }: Ledger): RawBuilder<unknown> {
  const rows = closedApprovals.map(({ id, state }) => ({ id, state }))
  return sql`update approvals a set state = r.state, decided_at = now() from ${recordset(rows, 'r', 'id uuid, state text')}
    where a.id = r.id and a.state = 'open'`
}

/** A3: tasks that are no longer waiting for people, without a decision. */
function withdrawnOf({ unasked, closedApprovals }: Ledger): string[] {
  const decided = new Set(closedApprovals.map((approval) => approval.taskId))
  return [...unasked].filter((id) => !decided.has(id))
}

const withdrawApprovals = (ledger: Ledger): RawBuilder<unknown> =>
  sql`update approvals a set state = 'withdrawn', decided_at = now() where a.task_id = any(${withdrawnOf(ledger)}::uuid[]) and a.state = 'open'`

const escalateApprovals = ({ escalatedApprovals }: Ledger): RawBuilder<unknown> =>
  sql`update approvals a set escalated_at = now(),
      -- Where everybody may decide there is nobody to add.
      approvers = case when a.approvers = '{}' then a.approvers else array(select distinct unnest(a.approvers || a.escalate_to)) end
    where a.id = any(${escalatedApprovals}::uuid[]) and a.escalated_at is null`
