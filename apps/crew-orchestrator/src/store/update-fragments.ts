/**
 * The parts of the statement that writes a ledger which change what is there, and what comes of them. `only` goes behind the condition of a
 * part.
 */
import { recordset } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { MissionFacts, TaskFacts } from '../domain/facts.ts'
import type { HandOver } from '../domain/hand-over.ts'
import type { Ledger } from '../domain/ledger.ts'
import { isMissionTerminal, isTerminal } from '../domain/states.ts'
import {
  HANDED_STATE,
  HAND_COLUMNS,
  JOIN_GATE,
  LEASE_COLUMNS,
  handColumns,
  leaseValues,
  returnLeases,
} from './hand-over.ts'

export function updateTasks(ledger: Ledger, over: HandOver, only: RawBuilder<unknown> = sql``): RawBuilder<unknown> {
  const isHanding = over.hands.size > 0
  const rows = Array.from(ledger.changed, (task) => ({
    id: task.id,
    state: task.state,
    reason: task.reason,
    blocked_by: task.blockedBy,
    max_attempts: task.maxAttempts,
    concurrency_key: task.concurrency?.key ?? null,
    turn: task.turn,
    held: task.held,
    delay_ms: task.delayMs ?? null,
    has_delay: task.delayMs !== undefined,
    has_input: task.input !== undefined,
    input: task.input ?? null,
    has_output: task.output !== undefined,
    output: task.output ?? null,
    error: task.error,
    ended: isTerminal(task.state),
    ...handColumns(over, task),
  }))
  // Every state that is written here is one without a lease: a task becomes executing by a claim alone.
  const leases = isHanding
    ? leaseValues(over, 't.attempt_timeout_ms', 't.heartbeat_timeout_ms')
    : LEASE_COLUMNS.map(() => sql`null`)
  const begun = sql`, attempt = t.attempt + case when g.open then 1 else 0 end, started_at = case when g.open then coalesce(t.started_at, now()) else t.started_at end`
  return sql`update tasks t set state = ${isHanding ? HANDED_STATE : sql`r.state`} ${isHanding ? begun : sql``}, reason = r.reason, blocked_by = r.blocked_by, max_attempts = r.max_attempts,
      concurrency_key = r.concurrency_key, turn = r.turn, held = r.held,
      input = case when r.has_input then r.input else t.input end,
      output = case when r.has_output then r.output else t.output end, error = r.error,
      ${sql.join(LEASE_COLUMNS.map((column, index) => sql`${sql.raw(column)} = ${leases[index]}`))},
      available_at = case when r.has_delay and r.state in ('queued', 'scheduled', 'waiting', 'input_required', 'verifying') then now() + r.delay_ms * interval '1 millisecond' else t.available_at end,
      queue_deadline_at = case when r.state = 'queued' ${isHanding ? sql`and g.open is null` : sql``} then now() + t.queue_timeout_ms * interval '1 millisecond' end,
      total_deadline_at = case when r.state in ('queued', 'scheduled', 'waiting') then coalesce(t.total_deadline_at, now() + t.total_timeout_ms * interval '1 millisecond')
        when r.state in ('input_required', 'verifying') then t.total_deadline_at end,
      ended_at = case when r.ended then now() end, version = t.version + 1
    from ${recordset(
      rows,
      'r',
      `id uuid, state text, reason text, blocked_by int, max_attempts int, concurrency_key text, turn int, held boolean, delay_ms bigint, has_delay boolean, has_input boolean, input jsonb, has_output boolean, output jsonb, error jsonb,
       ended boolean${isHanding ? `, ${HAND_COLUMNS}` : ''}`,
    )} ${isHanding ? JOIN_GATE : sql``} where t.id = r.id ${only} ${isHanding ? returnLeases('t') : sql``}`
}

export function endAttempts(ledger: Ledger, only: RawBuilder<unknown> = sql``): RawBuilder<unknown> {
  const rows = ledger.endedAttempts.map((ended) => ({
    task_id: ended.taskId,
    attempt: ended.attempt,
    outcome: ended.outcome,
    error: ended.error,
    output_hash: ended.outputHash,
  }))
  return sql`update attempts a set ended_at = now(), outcome = r.outcome, error = r.error, output_hash = decode(r.output_hash, 'hex')
    from ${recordset(rows, 'r', 'task_id uuid, attempt int, outcome text, error jsonb, output_hash text')}
    where a.task_id = r.task_id and a.attempt = r.attempt and a.ended_at is null ${only}`
}

export function updateMissions(
  missions: readonly MissionFacts[],
  { eventsOf }: HandOver,
  returning: RawBuilder<unknown>,
  only: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const isHanding = eventsOf.size > 0
  const rows = missions.map((mission) => ({
    id: mission.id,
    state: mission.state,
    open_tasks: mission.openTasks,
    total_tasks: mission.totalTasks,
    output_chars: mission.outputChars,
    event_seq: mission.eventSeq,
    output: mission.output ?? null,
    error: mission.error,
    canceling: mission.canceling,
    compensating: mission.compensating,
    ended: isMissionTerminal(mission.state),
    handed_events: eventsOf.get(mission.id) ?? 0,
  }))
  // What hands over here was reported by an attempt: its mission has started.
  return sql`update missions m set state = r.state, open_tasks = r.open_tasks, total_tasks = r.total_tasks, output_chars = r.output_chars, event_seq = r.event_seq ${isHanding ? sql`+ case when g.open then r.handed_events else 0 end` : sql``},
      output = r.output, error = r.error, cancel_requested_at = case when r.canceling then coalesce(m.cancel_requested_at, now()) end,
      compensating_at = case when r.compensating then coalesce(m.compensating_at, now()) end,
      ended_at = case when r.ended then now() end, version = m.version + 1
    from ${recordset(
      rows,
      'r',
      `id uuid, state text, open_tasks int, total_tasks int, output_chars bigint, event_seq int, output jsonb, error jsonb, canceling boolean, compensating boolean, ended boolean${isHanding ? ', handed_events int' : ''}`,
    )} ${isHanding ? sql`left join gate g on r.handed_events > 0` : sql``} where m.id = r.id ${only} ${returning}`
}

/** Queues whose tasks may have waited for what ended here: their queue is limited, or they have its concurrency key. */
export function freedQueues(ledger: Ledger): RawBuilder<unknown> {
  const ended = ledger.endedAttempts.flatMap(({ taskId }) => ledger.tasks.get(taskId) ?? [])
  if (ended.length === 0) return sql`null`
  const all = (of: (task: TaskFacts) => string[]): string[] => [...new Set(ended.flatMap(of))]
  const tenants = all((task) => [task.tenantId])
  const keys = all((task) => (task.concurrency === null ? [] : [task.concurrency.key]))
  // Two lists and no join, for this is planned with every report: it may name a queue too many, which only makes somebody look.
  const limited = sql`select tenant_id, queue from queue_controls
    where tenant_id = any(${tenants}::uuid[]) and queue = any(${all((task) => [task.queue])}::text[]) and max_executing is not null`
  const keyed = sql`union select t.tenant_id, t.queue from tasks t
    where t.tenant_id = any(${tenants}::uuid[]) and t.concurrency_key = any(${keys}::text[]) and t.state = 'queued'`
  return sql`(select json_agg(json_build_object('tenantId', q.tenant_id, 'queue', q.queue)) from (${limited} ${keys.length === 0 ? sql`` : keyed}) q)`
}
