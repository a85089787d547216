/** The parts of `store/hand-over.ts`: whether what a statement queues goes to the claims that wait for it, and what that makes of a task. */
import type { Session } from '../database.ts'
import { predicate } from '../predicate.ts'
import { later } from '../rows.ts'
import type { AttemptRow, TaskRow } from '../rows.ts'
import { param, records, scopeOf } from '../statement.ts'
import type { Call } from '../statement.ts'
import { recordsOf } from './parts.ts'

/** What a record says of the hands that its task goes into; without them when the statement hands nothing over. */
export interface InHand {
  hand_owner?: string | null | undefined
  hand_incarnation?: number | null | undefined
  hand_claim?: string | null | undefined
}

/** What a statement that may hand over does beside queueing; undefined for one that does not try. */
export interface Gate {
  isOpen: boolean
  leaseMs: number
  /** When the statement came: leases count from then. */
  at: number
}

const HELD = 'i.slots - (select count(*) from tasks t where t.lease_owner = i.id)'
const FRESH = 'not exists (select from tasks t where t.lease_owner = i.id and t.claim_id = h.claim_id)'

/** All of it or nothing, judged by what the statement sees when it begins; others get on before it writes. */
export async function gateOf(call: Call, parts: ReadonlyMap<string, string>): Promise<Gate | undefined> {
  const text = parts.get('gate')
  if (text === undefined) return undefined
  const at = call.session.database.scheduler.now
  const isOpen = areOwnersFree(call, text) && !isHeldBack(call, text)
  call.session.database.gates[isOpen ? 'open' : 'shut'] += 1
  await call.session.breathe()
  return {
    isOpen,
    at,
    leaseMs: param(call, /case when g\.open then statement_timestamp\(\) \+ \$(\d+)::int \* interval/),
  }
}

function areOwnersFree(call: Call, text: string): boolean {
  const { session } = call
  const found = /join agent_instances i on (.*?) where (.*?)\) = \$(\d+)::int and not exists/.exec(
    text.replace(HELD, 'i.free').replace(FRESH, 'i.fresh'),
  )
  if (found === null) throw new Error(`the model cannot read the gate: ${text}`)
  const [joins, hasRoom] = [predicate(found[1] as string), predicate(found[2] as string)]
  const tasks = session.rows('tasks')
  const free = records<{ claim_id: string }>(call, 'h', text).flatMap((h) =>
    session
      .rows('agent_instances')
      .filter((i) => joins(scopeOf(call, { h, i })))
      .map((i) => {
        const held = tasks.filter((task) => task.lease_owner === i.id)
        return { ...i, free: i.slots - held.length, fresh: held.every((task) => task.claim_id !== h.claim_id) }
      })
      .filter((i) => hasRoom(scopeOf(call, { h, i }))),
  )
  return free.length === call.params[Number(found[3]) - 1]
}

function isHeldBack(call: Call, text: string): boolean {
  const { session } = call
  const found =
    /\(select from queue_controls c where (.*?)\) union all \(select from tasks t where (.*?) limit 1\)\) held_back/.exec(
      text,
    )
  if (found === null) throw new Error(`the model cannot read the gate: ${text}`)
  const [isControlled, isNext] = [predicate(found[1] as string), predicate(found[2] as string)]
  const [controls, tasks] = [session.rows('queue_controls'), session.rows('tasks')]
  return records<object>(call, 'q', text).some(
    (q) =>
      controls.some((c) => isControlled(scopeOf(call, { q, c }))) || tasks.some((t) => isNext(scopeOf(call, { q, t }))),
  )
}

const isHanded = (gate: Gate | undefined, record: InHand): gate is Gate =>
  gate?.isOpen === true && record.hand_owner !== null && record.hand_owner !== undefined

/** A task as a statement that queues it leaves it: with a lease when it is handed over. `task` is what it is without that. */
export function intoHand(session: Session, task: TaskRow, record: InHand, gate: Gate | undefined): TaskRow {
  if (!isHanded(gate, record)) return task
  const { now } = session
  return {
    ...task,
    state: 'executing',
    attempt: task.attempt + 1,
    started_at: task.started_at ?? now,
    lease_owner: record.hand_owner as string,
    lease_incarnation: record.hand_incarnation as number,
    claim_id: record.hand_claim as string,
    lease_expires_at: gate.at + gate.leaseMs,
    attempt_deadline_at: later(gate.at, task.attempt_timeout_ms),
    progress_deadline_at: later(gate.at, task.heartbeat_timeout_ms),
    queue_deadline_at: null,
  }
}

/** What a statement answers to say whether it handed over. */
export function isHandedOver(call: Call, gate: Gate | undefined): boolean {
  const [, says] = /(exists \(select from gate\)|true|false) as is_handed/.exec(call.text) ?? []
  return says === 'true' || (says !== 'false' && gate?.isOpen === true)
}

/** Whether a part that may ask for the gate is done. */
export const isLetThrough = (part: string | undefined, gate: Gate | undefined): boolean =>
  part?.includes('exists (select from gate)') !== true || gate?.isOpen === true

/** `attempts_opened`, of the tasks that the parts before it have written. */
export function openAttempts(call: Call, parts: ReadonlyMap<string, string>): void {
  const { session } = call
  const sources = parts.get('attempts_opened')?.matchAll(/from (\w+) where state = 'executing'/g) ?? []
  for (const [, name] of sources) {
    for (const { id } of recordsOf<{ id: string }>(call, parts, name as string)) {
      const task = session.get('tasks', id)
      if (task?.state === 'executing') session.put('attempts', attemptOf(session, task))
    }
  }
}

export const attemptOf = (session: Session, task: TaskRow): AttemptRow => ({
  task_id: task.id,
  attempt: task.attempt,
  tenant_id: task.tenant_id,
  agent_instance_id: task.lease_owner as string,
  incarnation: task.lease_incarnation as number,
  claim_id: task.claim_id as string,
  started_at: session.database.scheduler.now,
  ended_at: null,
  outcome: null,
  output_hash: null,
  error: null,
})
