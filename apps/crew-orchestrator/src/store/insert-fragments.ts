import { newId } from '@hypercode/contracts'
import { recordset } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { TaskFacts } from '../domain/facts.ts'
import { NOTHING_HANDED } from '../domain/hand-over.ts'
import type { DeadLetterDraft, Edge, EventDraft } from '../domain/ledger.ts'
import {
  HANDED_STATE,
  HAND_COLUMNS,
  JOIN_GATE,
  LEASE_COLUMNS,
  handColumns,
  leaseValues,
  returnLeases,
} from './hand-over.ts'

/** `insert into tasks …` for tasks that were planned just now; `only` may hold a where clause over the rows `r`. */
export function insertTasks(
  tasks: Iterable<TaskFacts>,
  only: RawBuilder<unknown> = sql``,
  over = NOTHING_HANDED,
): RawBuilder<unknown> {
  const isHanding = over.hands.size > 0
  const rows = Array.from(tasks, (task) => ({
    id: task.id,
    tenant_id: task.tenantId,
    mission_id: task.missionId,
    key: task.key,
    leaf: task.leaf,
    queue: task.queue,
    requires: task.requires,
    priority: task.priority,
    state: task.state,
    reason: task.reason,
    blocked_by: task.blockedBy,
    template: task.template,
    policy: task.policy,
    concurrency_key: task.concurrency?.key ?? null,
    concurrency_limit: task.concurrency?.limit ?? null,
    turn: task.turn,
    held: task.held,
    parent_id: task.parentId,
    kept_from: task.keptFrom ?? null,
    max_attempts: task.maxAttempts,
    retry: task.retry,
    queue_ms: task.timeouts.queueMs,
    attempt_ms: task.timeouts.attemptMs,
    heartbeat_ms: task.timeouts.heartbeatMs,
    total_ms: task.timeouts.totalMs,
    delay_ms: task.delayMs ?? null,
    input: task.input ?? null,
    output: task.output ?? null,
    error: task.error,
    ended:
      task.state === 'completed' || task.state === 'skipped' || task.state === 'failed' || task.state === 'canceled',
    ...handColumns(over, task),
  }))
  return sql`insert into tasks (id, tenant_id, mission_id, key, leaf, queue, requires, priority, state, reason, blocked_by, template, policy, concurrency_key, concurrency_limit, turn, held, parent_id, kept_from,
      max_attempts, retry, queue_timeout_ms, attempt_timeout_ms, heartbeat_timeout_ms, total_timeout_ms, input, output, error,
      available_at, queue_deadline_at, total_deadline_at, ended_at ${isHanding ? sql.raw(`, attempt, started_at, ${LEASE_COLUMNS.join(', ')}`) : sql``})
    select r.id, r.tenant_id, r.mission_id, r.key, r.leaf, r.queue, r.requires, r.priority, ${isHanding ? HANDED_STATE : sql`r.state`}, r.reason, r.blocked_by, r.template, r.policy, r.concurrency_key, r.concurrency_limit, r.turn, r.held, r.parent_id, r.kept_from,
      r.max_attempts, r.retry, r.queue_ms, r.attempt_ms, r.heartbeat_ms, r.total_ms, r.input, r.output, r.error,
      case r.state when 'queued' then now() when 'input_required' then now() + r.delay_ms * interval '1 millisecond' end,
      case when r.state = 'queued' ${isHanding ? sql`and g.open is null` : sql``} then now() + r.queue_ms * interval '1 millisecond' end,
      case when r.state in ('queued', 'waiting') then now() + r.total_ms * interval '1 millisecond' end,
      case when r.ended then now() end
      ${isHanding ? sql`, case when g.open then 1 else 0 end, case when g.open then now() end, ${sql.join(leaseValues(over, 'r.attempt_ms', 'r.heartbeat_ms'))}` : sql``}
    from ${recordset(
      rows,
      'r',
      `id uuid, tenant_id uuid, mission_id uuid, key text, leaf boolean, queue text, requires text[], priority smallint, state text, reason text,
       blocked_by int, template jsonb, policy jsonb, concurrency_key text, concurrency_limit int, turn int, held boolean, parent_id uuid, kept_from uuid, max_attempts int, retry jsonb, queue_ms bigint, attempt_ms bigint, heartbeat_ms bigint,
       total_ms bigint, delay_ms bigint, input jsonb, output jsonb, error jsonb, ended boolean${isHanding ? `, ${HAND_COLUMNS}` : ''}`,
    )} ${isHanding ? JOIN_GATE : sql``} ${only} ${isHanding ? returnLeases('tasks') : sql``}`
}

export function insertEdges(edges: readonly Edge[], missionOf?: RawBuilder<unknown>): RawBuilder<unknown> {
  const rows = edges.map((edge) => ({ tenant_id: edge.tenantId, task_id: edge.taskId, depends_on: edge.dependsOn }))
  return sql`insert into task_dependencies (tenant_id, task_id, depends_on)
    select r.tenant_id, r.task_id, r.depends_on from ${recordset(rows, 'r', 'tenant_id uuid, task_id uuid, depends_on uuid')} ${missionOf ?? sql``}`
}

export function insertEvents(
  events: readonly (EventDraft & { tenantId: string })[],
  only: RawBuilder<unknown> = sql``,
): RawBuilder<unknown> {
  const rows = events.map((event) => ({
    mission_id: event.missionId,
    seq: event.seq,
    tenant_id: event.tenantId,
    type: event.type,
    task_id: event.taskId,
    body: event.body,
  }))
  return sql`insert into mission_events (mission_id, seq, tenant_id, type, task_id, body)
    select r.mission_id, r.seq, r.tenant_id, r.type, r.task_id, r.body
    from ${recordset(rows, 'r', 'mission_id uuid, seq int, tenant_id uuid, type text, task_id uuid, body jsonb')} ${only}`
}

export function insertDeadLetters(
  letters: readonly DeadLetterDraft[],
  only: RawBuilder<unknown> = sql``,
): RawBuilder<unknown> {
  const rows = letters.map((letter) => ({
    id: newId(),
    tenant_id: letter.tenantId,
    mission_id: letter.missionId,
    task_id: letter.taskId,
    key: letter.key,
    error: letter.error,
  }))
  return sql`insert into dead_letters (id, tenant_id, mission_id, task_id, key, error)
    select r.* from ${recordset(rows, 'r', 'id uuid, tenant_id uuid, mission_id uuid, task_id uuid, key text, error jsonb')} ${only}`
}
