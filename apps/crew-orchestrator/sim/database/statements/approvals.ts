/** The statements of `store/approvals.ts`, and the parts of a saved ledger that are about approvals. */
import type { Session } from '../database.ts'
import { DatabaseError } from '../errors.ts'
import { later } from '../rows.ts'
import type { ApprovalRow, DecisionRow } from '../rows.ts'
import { param, paramsAt, records } from '../statement.ts'
import type { Call, Statement } from '../statement.ts'

const dateOf = (at: number | null): Date | null => (at === null ? null : new Date(at))
const decisionsOf = (session: Session, { id }: ApprovalRow): DecisionRow[] =>
  session.rows('approval_decisions').filter((one) => one.approval_id === id)
/** In the round that is on. */
const roundOf = (session: Session, approval: ApprovalRow): DecisionRow[] =>
  decisionsOf(session, approval).filter((one) => one.round === approval.round)

export const findApproval: Statement = {
  name: 'findApproval',
  marks: ['as decisions from approvals a where a.id = $1 and a.tenant_id = $2'],
  run({ session, params }) {
    const a = session.get('approvals', params[0] as string)
    if (a === undefined || a.tenant_id !== params[1]) return []
    const { deadline_at, escalated_at, created_at, decided_at } = a
    const [deadline, escalated, decided] = [deadline_at, escalated_at, decided_at].map(dateOf)
    const dates = {
      deadline_at: deadline,
      escalated_at: escalated,
      created_at: dateOf(created_at),
      decided_at: decided,
    }
    const decisions = decisionsOf(session, a).map((one) => ({ ...one, at: dateOf(one.at) }))
    return [{ ...a, ...dates, decisions: decisions.length === 0 ? null : decisions }]
  },
}

export const readApprovedHash: Statement = {
  name: 'readApprovedHash',
  marks: ['then a.hash end as hash', 'a.wait is null and a.verifies is null order by a.created_at desc limit 1'],
  run({ session, params }) {
    const asked = session
      .rows('approvals')
      .filter((one) => one.task_id === params[0] && one.wait === null && one.verifies === null)
    const last = asked.toSorted((a, b) => b.created_at - a.created_at)[0]
    return last === undefined ? [] : [{ hash: saysYes(last) ? last.hash : null }]
  },
}

const saysYes = ({ state, on_timeout }: ApprovalRow): boolean =>
  state === 'approved' || (state === 'expired' && on_timeout === 'approve')

export const lockApproval: Statement = {
  name: 'lockApproval',
  marks: ['as "approvedBy", exists (select from approval_decisions d'],
  async run(call) {
    const { session } = call
    const id = param<string>(call, /from approvals a where a\.id = \$(\d+) for no key update of a/)
    await session.lock('approvals', id)
    const a = session.get('approvals', id)
    if (a === undefined) return []
    const client = param<string>(call, /d\.round = a\.round and d\.client = \$(\d+)\) as decided/)
    const round = roundOf(session, a)
    return [
      {
        ...shownOf(a),
        ...{ state: a.state, hash: a.hash, approvers: a.approvers, quorum: a.quorum, round: a.round, clientName: null },
        late: hasCome(a.deadline_at, session.now),
        approvedBy: round.filter((one) => one.verdict !== 'reject').map((one) => one.client),
        decided: round.some((one) => one.client === client),
      },
    ]
  },
}

const hasCome = (at: number | null, now: number): boolean => at !== null && at <= now
const shownOf = ({ id, wait, verifies, data, round, on_timeout }: ApprovalRow): object => ({
  ...{ id, wait, verifies, data },
  edited: round > 1,
  onTimeout: on_timeout,
})

export const readDueApprovals: Statement = {
  name: 'readDueApprovals',
  marks: ['as "leftMs" from approvals a where a.task_id = any('],
  run: ({ session, params }) =>
    session
      .rows('approvals')
      .filter((a) => a.state === 'open' && (params[0] as string[]).includes(a.task_id))
      .map((a) => ({
        ...shownOf(a),
        taskId: a.task_id,
        expired: hasCome(a.deadline_at, session.now),
        escalates: hasCome(a.escalate_at, session.now) && a.escalated_at === null,
        leftMs: a.deadline_at === null ? null : Math.ceil(a.deadline_at - session.now),
      })),
}

export const storeDecision: Statement = {
  name: 'storeDecision',
  marks: ['insert into "approval_decisions" ('],
  run({ session, text, params }) {
    const [, names] = /"approval_decisions" \(([^)]*)\) values/.exec(text) as unknown as [string, string]
    const columns = names.split(',').map((name) => name.trim().slice(1, -1))
    const given = Object.fromEntries(columns.map((name, index) => [name, params[index]]))
    session.insert('approval_decisions', { ...given, at: session.now } as DecisionRow)
    return []
  },
}

export const editData: Statement = {
  name: 'editData',
  marks: ['update approvals set data = $1::jsonb, hash = $2, round = round + 1 where id = $3'],
  async run({ session, params }) {
    const [data, hash, id] = params as [string, string, string]
    await session.update('approvals', id, (a) => ({ ...a, data: JSON.parse(data), hash, round: a.round + 1 }))
    return []
  },
}

type ApprovalRecord = Omit<ApprovalRow, 'deadline_at' | 'escalate_at'> & {
  deadline_ms: number | null
  escalate_ms: number | null
}

/** `insertApprovals` */
export function insertApproval(session: Session, { deadline_ms, escalate_ms, ...rest }: ApprovalRecord): void {
  const isAsked = session.rows('approvals').some((one) => one.task_id === rest.task_id && one.state === 'open')
  if (isAsked && rest.state === 'open')
    throw new DatabaseError('23505', `duplicate key: an open approval of ${rest.task_id}`)
  const { now } = session
  const [deadline_at, escalate_at] = [later(now, deadline_ms), later(now, escalate_ms)]
  const decided_at = rest.state === 'withdrawn' ? now : null
  const fresh = { round: 1, escalated_at: null, created_at: now, decided_at }
  session.insert('approvals', { ...rest, ...fresh, deadline_at, escalate_at })
}

/** The parts of `approvalParts` that change what is there. A statement does not see the rows that it inserts. */
export const APPROVAL_PARTS: Readonly<
  Record<string, (call: Call, part: string, fresh: ReadonlySet<string>) => Promise<void>>
> = {
  async approvals_closed(call, part) {
    for (const { id, state } of records<Pick<ApprovalRow, 'id' | 'state'>>(call, 'r', part))
      await close(call, id, state)
  },
  async approvals_withdrawn(call, part, fresh) {
    const [taskIds] = paramsAt({ ...call, text: part }, /a\.task_id = any\(\$(\d+)::uuid\[\]\) and a\.state = 'open'/)
    const open = call.session.rows('approvals').filter((a) => a.state === 'open' && !fresh.has(a.id))
    for (const a of open) if ((taskIds as string[]).includes(a.task_id)) await close(call, a.id, 'withdrawn')
  },
  async approvals_escalated({ session, params }, part) {
    const [, number] = /a\.id = any\(\$(\d+)::uuid\[\]\) and a\.escalated_at is null/.exec(part) as RegExpExecArray
    for (const id of params[Number(number) - 1] as string[])
      await session.update('approvals', id, (a) => {
        if (a.escalated_at !== null) return undefined
        const approvers = a.approvers.length === 0 ? [] : [...new Set([...a.approvers, ...a.escalate_to])]
        return { ...a, approvers, escalated_at: session.now }
      })
  },
}

const close = async ({ session }: Call, id: string, state: ApprovalRow['state']): Promise<void> =>
  session.update('approvals', id, (a) => (a.state === 'open' ? { ...a, state, decided_at: session.now } : undefined))
