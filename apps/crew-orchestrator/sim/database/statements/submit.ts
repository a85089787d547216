/** The statements of `store/submit.ts`. */
import { later } from '../rows.ts'
import type { EdgeRow, EventRow, LetterRow, MissionRow } from '../rows.ts'
import { records } from '../statement.ts'
import type { Statement } from '../statement.ts'
import { insertApproval } from './approvals.ts'
import { gateOf, isHandedOver, isLetThrough, openAttempts } from './hand-over.ts'
import { insertEdge, insertEvent, insertTask } from './insert.ts'
import type { TaskRecord } from './insert.ts'
import { partsOf, recordsOf, sendHints } from './parts.ts'

type MissionRecord = Omit<MissionRow, 'deadline_at'> & {
  deadline_ms: number | null
  handed_events?: number
}

/** Nothing of the simulation looks at the audit. */
const PARTS: ReadonlySet<string> = new Set([
  'gate',
  'stored',
  'tasks_in',
  'attempts_opened',
  'claims_told',
  'edges_in',
  'approvals_in',
  'letters_in',
  'events_in',
  'audit_in',
  'outbox_in',
])

export const storeMissions: Statement = {
  name: 'storeMissions',
  marks: ['stored as (insert into missions'],
  async run(call) {
    const { session } = call
    const parts = partsOf(call.text)
    for (const name of parts.keys())
      if (!PARTS.has(name)) throw new Error(`the model does not know the part ${name} of a submit`)
    const gate = await gateOf(call, parts)
    const stored = new Set<string>()
    for (const { deadline_ms, handed_events = 0, ...mission } of recordsOf<MissionRecord>(call, parts, 'stored')) {
      // An insert waits for whoever is inserting the same key, and then knows whether it is there.
      if (mission.idempotency_key !== null) await session.lock('missions', keyOf(mission))
      const isKnown =
        session.get('missions', mission.id) !== undefined ||
        (mission.idempotency_key !== null && session.rows('missions').some((one) => keyOf(one) === keyOf(mission)))
      if (isKnown) continue
      stored.add(mission.id)
      const { now } = session
      const ended_at = mission.open_tasks === 0 ? now : null
      const isBegun = gate?.isOpen === true && handed_events > 0
      session.put('missions', {
        ...mission,
        state: isBegun ? 'running' : mission.state,
        event_seq: mission.event_seq + (isBegun ? handed_events : 0),
        output_chars: 0,
        cancel_requested_at: null,
        compensating_at: null,
        deadline_at: later(now, deadline_ms),
        version: 1,
        started_at: isBegun ? now : null,
        ended_at,
      })
    }
    const isStored = ({ mission_id }: { mission_id: string }): boolean => stored.has(mission_id)
    const tasks = recordsOf<TaskRecord>(call, parts, 'tasks_in').filter(isStored)
    const ids = new Set(tasks.map((task) => task.id))
    for (const task of tasks) insertTask(session, task, gate)
    openAttempts(call, parts)
    for (const edge of recordsOf<EdgeRow>(call, parts, 'edges_in')) if (ids.has(edge.task_id)) insertEdge(session, edge)
    for (const event of recordsOf<EventRow>(call, parts, 'events_in').filter(isStored)) insertEvent(session, event)
    if (isLetThrough(parts.get('claims_told'), gate))
      for (const event of recordsOf<EventRow>(call, parts, 'claims_told').filter(isStored)) insertEvent(session, event)
    for (const approval of recordsOf<Parameters<typeof insertApproval>[1]>(call, parts, 'approvals_in'))
      if (isStored(approval)) insertApproval(session, approval)
    for (const letter of recordsOf<Omit<LetterRow, 'resolution'>>(call, parts, 'letters_in').filter(isStored))
      session.put('dead_letters', { ...letter, resolution: null })
    const outbox = parts.get('outbox_in')
    const isTold = gate !== undefined && isLetThrough(outbox, gate)
    const hints = records<{ id: string; hint: unknown; handed_hint?: unknown }>(call, 'h', outbox)
      .filter(({ id }) => stored.has(id))
      .map(({ hint, handed_hint }) => (isTold ? handed_hint : hint))
    return [
      {
        stored: [...stored],
        outbox_id: hints.length === 0 ? null : sendHints(session, hints),
        is_handed: isHandedOver(call, gate),
      },
    ]
  },
}

const keyOf = ({ tenant_id, idempotency_key }: Pick<MissionRow, 'tenant_id' | 'idempotency_key'>): string =>
  `key ${tenant_id} ${idempotency_key}`

export const findExisting: Statement = {
  name: 'findExisting',
  marks: ['join missions m using (tenant_id, idempotency_key)'],
  run: (call) =>
    records<Pick<MissionRow, 'id' | 'tenant_id' | 'idempotency_key'>>(call, 'k').flatMap((wanted) =>
      call.session
        .rows('missions')
        .filter(
          (one) =>
            one.tenant_id === wanted.tenant_id &&
            (wanted.idempotency_key === null ? one.id === wanted.id : one.idempotency_key === wanted.idempotency_key),
        )
        .map((one) => ({
          id: one.id,
          idempotencyKey: one.idempotency_key,
          tenantId: one.tenant_id,
          requestHash: one.request_hash,
        })),
    ),
}
