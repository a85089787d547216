/** The statement of `store/save-ledger.ts`, part by part, and the audit row beside it. */
import type { Session } from '../database.ts'
import { later } from '../rows.ts'
import type { AttemptRow, EdgeRow, EventRow, LetterRow, MissionRow, StepRow, TaskRow } from '../rows.ts'
import { records } from '../statement.ts'
import type { Call, Statement } from '../statement.ts'
import { gateOf, intoHand, isHandedOver, isLetThrough, openAttempts } from './hand-over.ts'
import type { Gate, InHand } from './hand-over.ts'
import { insertEdge, insertEvent, insertTask } from './insert.ts'
import type { TaskRecord } from './insert.ts'
import { APPROVAL_PARTS, insertApproval } from './approvals.ts'
import { partsOf, recordsOf, sendHints } from './parts.ts'
import { asksForUnchanged, readUnchanged } from './unchanged.ts'
import { VERIFICATION_PARTS, insertRound } from './verifications.ts'

type Write = (session: Session, record: never, gate: Gate | undefined) => Promise<void> | void

export const saveLedger: Statement = {
  name: 'saveLedger',
  marks: ['as is_handed from outbox_in'],
  async run(call) {
    const { session, text, params } = call
    const parts = partsOf(text)
    // Of what was there before.
    const freedQueues = freed(call)
    const gate = await gateOf(call, parts)
    const isUnchanged = await readUnchanged(call, parts)
    const isDone = (part: string): boolean => isUnchanged || !asksForUnchanged(part)
    for (const [name, part] of parts) {
      if (GATES.has(name) || name === 'outbox_in') continue
      if (name === 'attempts_opened') {
        openAttempts(call, parts)
        continue
      }
      if (!isDone(part) || !isLetThrough(part, gate)) continue
      const change = APPROVAL_PARTS[name]
      if (change !== undefined) {
        await change(call, part, new Set(recordsOf<{ id: string }>(call, parts, 'approvals_in').map(({ id }) => id)))
        continue
      }
      const verify = VERIFICATION_PARTS[name]
      if (verify !== undefined) {
        await verify(call, part)
        continue
      }
      const write = WRITES[name]
      if (write === undefined) throw new Error(`the model does not know the part ${name} of a saved ledger`)
      for (const record of records<never>(call, 'r', part)) await write(session, record, gate)
    }
    const outbox = parts.get('outbox_in') as string
    if (!isDone(outbox)) return []
    const [, handed, hints] = PAYLOADS.exec(outbox) as RegExpExecArray
    const sent = handed !== undefined && isLetThrough(outbox, gate) ? handed : hints
    const payload = JSON.parse(params[Number(sent) - 1] as string) as unknown[]
    return [{ id: sendHints(session, payload), freed: freedQueues, is_handed: isHandedOver(call, gate) }]
  },
}

/** They write nothing, and say whether the others do. */
const GATES = new Set(['gate', 'unchanged'])

/** With a gate there are two: what is said when it is open, and what otherwise. */
const PAYLOADS = /\(payload\) select (?:case when exists \(select from gate\) then \$(\d+)::jsonb else )?\$(\d+)::jsonb/

type TaskChange = Pick<
  TaskRow,
  | 'id'
  | 'state'
  | 'reason'
  | 'blocked_by'
  | 'max_attempts'
  | 'concurrency_key'
  | 'turn'
  | 'held'
  | 'input'
  | 'output'
  | 'error'
> & {
  delay_ms: number | null
  has_delay: boolean
  has_input: boolean
  has_output: boolean
  ended: boolean
} & InHand

/** `updateTasks` */
async function moveTask(session: Session, record: TaskChange, gate: Gate | undefined): Promise<void> {
  const { delay_ms, has_delay, has_input, has_output, input, output, ended, ...rest } = record
  const { hand_owner, hand_incarnation, hand_claim, ...r } = rest
  const { now } = session
  const isIn = (...states: string[]): boolean => states.includes(r.state)
  const moved = (t: TaskRow): TaskRow => ({
    ...t,
    ...r,
    input: has_input ? input : t.input,
    output: has_output ? output : t.output,
    lease_owner: null,
    lease_incarnation: null,
    claim_id: null,
    lease_expires_at: null,
    attempt_deadline_at: null,
    progress_deadline_at: null,
    available_at:
      has_delay && isIn('queued', 'scheduled', 'waiting', 'input_required', 'verifying')
        ? later(now, delay_ms)
        : t.available_at,
    queue_deadline_at: isIn('queued') ? later(now, t.queue_timeout_ms) : null,
    total_deadline_at: isIn('queued', 'scheduled', 'waiting')
      ? (t.total_deadline_at ?? later(now, t.total_timeout_ms))
      : isIn('input_required', 'verifying')
        ? t.total_deadline_at
        : null,
    ended_at: ended ? now : null,
    version: t.version + 1,
  })
  const hand = { hand_owner, hand_incarnation, hand_claim }
  await session.update('tasks', r.id, (t) => intoHand(session, moved(t), hand, gate))
}

type MissionChange = Omit<MissionRow, 'cancel_requested_at' | 'compensating_at'> & {
  canceling: boolean
  compensating: boolean
  ended: boolean
  handed_events?: number
}

/** `updateMissions` */
async function moveMission(session: Session, record: MissionChange, gate: Gate | undefined): Promise<void> {
  const { canceling, compensating, ended, handed_events = 0, ...r } = record
  const isHanded = gate?.isOpen === true
  await session.update('missions', r.id, (m) => ({
    ...m,
    ...r,
    event_seq: r.event_seq + (isHanded ? handed_events : 0),
    cancel_requested_at: canceling ? (m.cancel_requested_at ?? session.now) : null,
    compensating_at: compensating ? (m.compensating_at ?? session.now) : null,
    ended_at: ended ? session.now : null,
    version: m.version + 1,
  }))
}

interface AttemptEnd {
  task_id: string
  attempt: number
  outcome: string
  output_hash: string | null
  error: AttemptRow['error']
}

const WRITES: Readonly<Record<string, Write>> = {
  tasks_in: (session, record: TaskRecord, gate) => insertTask(session, record, gate),
  edges_in: (session, record: EdgeRow) => insertEdge(session, record),
  tasks_moved: moveTask,
  attempts_ended: async (session, { task_id, attempt, ...end }: AttemptEnd) =>
    session.update('attempts', `${task_id}/${attempt}`, (a) =>
      a.ended_at === null ? { ...a, ended_at: session.now, ...end } : undefined,
    ),
  letters_in: (session, record: LetterRow) => session.put('dead_letters', { ...record, resolution: null }),
  waits_in: (session, { delay_ms, over, ...wait }: { delay_ms: number | null; over: boolean } & Wait) =>
    session.insert('waits', {
      ...wait,
      fire_at: later(session.now, delay_ms),
      created_at: session.database.scheduler.now,
      fired_at: over ? session.now : null,
    }),
  waits_over: async (session, { task_id, name }: { task_id: string; name: string }) =>
    session.update('waits', `${task_id}/${name}`, (w) =>
      w.fired_at === null ? { ...w, fired_at: session.now } : undefined,
    ),
  signals_taken: async (session, { id, task_id }: { id: string; task_id: string }) =>
    session.update('signals', id, (s) =>
      s.taken_at === null ? { ...s, taken_by: task_id, taken_at: session.now } : undefined,
    ),
  approvals_in: (session, record: Parameters<typeof insertApproval>[1]) => insertApproval(session, record),
  rounds_in: (session, record: Parameters<typeof insertRound>[1]) => insertRound(session, record),
  steps_in: (session, record: StepRow) => session.insert('steps', { ...record, request_hash: null }),
  events_in: (session, record: EventRow) => insertEvent(session, record),
  claims_told: (session, record: EventRow) => insertEvent(session, record),
  missions_moved: moveMission,
}

interface Wait {
  task_id: string
  name: string
  tenant_id: string
  mission_id: string
  kind: string
  signal: string | null
}

/** `freedQueues` */
function freed(call: Call): { tenantId: string; queue: string }[] | null {
  const { session, text, params } = call
  const limited =
    /from queue_controls where tenant_id = any\(\$\d+::uuid\[\]\) and queue = any\(\$(\d+)::text\[\]\)/.exec(text)
  if (limited === null) return null
  const keyed = /t\.concurrency_key = any\(\$(\d+)::text\[\]\)/.exec(text)
  const queues = params[Number(limited[1]) - 1] as string[]
  const keys = keyed === null ? [] : (params[Number(keyed[1]) - 1] as string[])
  const waiting = [
    ...session.rows('queue_controls').filter((one) => queues.includes(one.queue) && one.max_executing !== null),
    ...session.rows('tasks').filter((one) => one.state === 'queued' && keys.includes(one.concurrency_key ?? '')),
  ]
  const found = new Map(waiting.map(({ tenant_id: tenantId, queue }) => [queue, { tenantId, queue }]))
  return found.size === 0 ? null : [...found.values()]
}

export const writeAudit: Statement = {
  name: 'writeAudit',
  marks: ['insert into audit (tenant_id, actor, action, ref, detail)'],
  run: () => [],
}
