import { blueprintOfMark } from '@hypercode/contracts'
import type { TaskError, TaskState, Verification } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import { plainSkills } from '../domain/explain-gates.ts'
import type { Agents, ExplainFacts, PausedBy } from '../domain/explain.ts'
import { readAround } from './around.ts'
import { readBudget } from './budgets.ts'

/** As many holders of a gate as are named. */
const NAMED_MAX = 5

/** What paused the mission last, if a task did. */
const PAUSED_BY = sql`select case when e.body ? 'taskId' then json_build_object('taskId', e.body ->> 'taskId', 'reason', e.body ->> 'reason') end
  from mission_events e where e.mission_id = m.id and e.type = 'mission.paused' order by e.seq desc limit 1`

interface Row {
  at: Date
  id: string
  tenant_id: string
  mission_id: string
  key: string
  state: TaskState
  reason: string | null
  queue: string
  requires: string[]
  attempt: number
  blocked_by: number
  created_at: Date
  available_at: Date | null
  lease_owner: string | null
  lease_expires_at: Date | null
  attempt_deadline_at: Date | null
  attempt_started_at: Date | null
  cancel_requested_at: Date | null
  compensating_at: Date | null
  is_paused: boolean
  child: { id: string; name: string; isPaused: boolean } | null
  wait_name: string | null
  wait_kind: 'timer' | 'signal' | 'approval'
  wait_signal: string | null
  wait_since: Date
  wait_fire_at: Date | null
  approval_id: string | null
  approval_title: string
  approval_since: Date
  approval_deadline_at: Date | null
  verify_kind: Verification['kind'] | null
  verify_round: number
  verify_since: Date
  reviewer: { id: string; name: string; state: TaskState } | null
  queue_paused_at: Date | null
  queue_max: number | null
  queue_executing: number
  concurrency_key: string | null
  concurrency_limit: number | null
  key_executing: number
  key_by: { id: string; name: string }[] | null
  blockers: { id: string; name: string }[] | null
  letter_id: string | null
  letter_at: Date | null
  letter_error: TaskError | null
  paused_by: PausedBy | null
}

/** The facts of one instant: all statements see the same snapshot. Undefined when the tenant has no such task. */
export async function readExplainFacts(db: Db, tenantId: string, id: string): Promise<ExplainFacts | undefined> {
  return await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (trx) => {
      const [row] = (
        await sql<Row>`
          select now() as at, t.id, t.tenant_id, t.mission_id, t.key, t.state, t.reason, t.queue, t.requires, t.attempt, t.blocked_by, t.created_at,
            t.available_at, t.lease_owner, t.lease_expires_at, t.attempt_deadline_at, a.started_at as attempt_started_at, m.cancel_requested_at, m.compensating_at,
            m.state = 'paused' as is_paused, w.name as wait_name, w.kind as wait_kind, w.signal as wait_signal, w.created_at as wait_since,
            w.fire_at as wait_fire_at, p.id as approval_id, p.title as approval_title, p.created_at as approval_since, p.deadline_at as approval_deadline_at,
            v.kind as verify_kind, v.round as verify_round, v.created_at as verify_since,
            (select json_build_object('id', r.id, 'name', r.key, 'state', r.state) from tasks r where r.id = v.verifier_task_id) as reviewer,
            c.paused_at as queue_paused_at, c.max_executing as queue_max, t.concurrency_key, t.concurrency_limit,
            case when c.max_executing is null then 0 else (select count(*) from tasks u where u.lease_owner is not null and u.tenant_id = t.tenant_id
              and u.queue = t.queue) end as queue_executing,
            (select count(*) from tasks u where u.tenant_id = t.tenant_id and u.concurrency_key = t.concurrency_key and u.state = 'executing') as key_executing,
            (select json_agg(b) from (select u.id, u.key as name from tasks u where u.tenant_id = t.tenant_id
              and u.concurrency_key = t.concurrency_key and u.state = 'executing' order by u.id limit ${NAMED_MAX}) b) as key_by,
            (select json_build_object('id', o.id, 'name', o.crew, 'isPaused', o.state = 'paused') from missions o where o.parent_task_id = t.id and o.ended_at is null) as child,
            d.id as letter_id, d.created_at as letter_at, d.error as letter_error,
            case when m.state = 'paused' then (${PAUSED_BY}) end as paused_by,
            (select json_agg(b) from (
              select p.id, p.key as name from task_dependencies e join tasks p on p.id = e.depends_on
              where e.task_id = t.id and p.ended_at is null order by p.id limit ${NAMED_MAX}) b) as blockers
          from tasks t join missions m on m.id = t.mission_id
          left join attempts a on a.task_id = t.id and a.attempt = t.attempt and a.ended_at is null
          left join waits w on w.task_id = t.id and w.fired_at is null and w.kind <> 'tasks'
          left join approvals p on p.task_id = t.id and p.state = 'open'
          left join verifications v on v.task_id = t.id and v.state = 'open'
          left join queue_controls c on c.tenant_id = t.tenant_id and c.queue = t.queue
          left join lateral (
            select l.id, l.created_at, l.error from dead_letters l where l.task_id = t.id and l.resolution is null order by l.id desc limit 1) d on true
          where t.id = ${id} and t.tenant_id = ${tenantId}`.execute(trx)
      ).rows
      if (row === undefined) return undefined
      const budget = (await readBudget(trx, row.mission_id)) ?? null
      return { ...toFacts(row, await readAgents(trx, row)), budget, around: await readAround(trx, row.mission_id) }
    })
}

interface AgentsRow extends Omit<Agents, 'busyWith' | 'busyUntil'> {
  busy_with: { id: string; name: string }[] | null
  busy_until: Date | null
}

/** Says of each instance what the lease statement asks of it. */
async function readAgents(db: Db, task: Row): Promise<Agents> {
  const needed = [task.queue, ...task.requires]
  const pooled = needed.filter((skill) => blueprintOfMark(skill) === undefined)
  const found = await sql<AgentsRow>`
    with known as materialized (
      select i.id, i.slots, i.skills @> ${pooled}::text[] as pooled, i.skills @> ${needed}::text[] as fits,
        array(select split_part(s, '@', 1) from unnest(i.skills) s) @> ${plainSkills(task)}::text[] as skilled,
        i.lifecycle = 'ready' and i.lease_expires_at > now() as alive
      from agent_instances i where i.tenant_id = ${task.tenant_id} and i.lifecycle not in ('stopped', 'reaped', 'failed', 'quarantined')),
    able as materialized (
      select k.id, k.slots > (select count(*) from tasks u where u.lease_owner = k.id) as free from known k where k.fits and k.alive),
    busy as (select u.id, u.key as name, u.attempt_deadline_at from tasks u join able on able.id = u.lease_owner and not able.free)
    select count(*) filter (where skilled) as skilled, count(*) filter (where pooled) as pooled, count(*) filter (where fits) as fitting,
      (select count(*) from able) as alive, (select count(*) from able where free) as free,
      (select json_agg(b) from (select id, name from busy order by attempt_deadline_at, id limit ${NAMED_MAX}) b) as busy_with,
      (select min(attempt_deadline_at) from busy) as busy_until
    from known`.execute(db)
  const { busy_with: busyWith, busy_until: busyUntil, ...counts } = found.rows[0] as AgentsRow
  return {
    ...counts,
    busyWith: counts.free > 0 ? [] : (busyWith ?? []).map((one) => ({ kind: 'task', ...one })),
    busyUntil: counts.free > 0 ? null : busyUntil,
  }
}

const toFacts = (row: Row, agents: Agents): Omit<ExplainFacts, 'budget' | 'around'> => ({
  at: row.at,
  id: row.id,
  missionId: row.mission_id,
  key: row.key,
  state: row.state,
  reason: row.reason,
  queue: row.queue,
  requires: row.requires,
  attempt: row.attempt,
  createdAt: row.created_at,
  availableAt: row.available_at,
  mission: {
    cancelRequestedAt: row.cancel_requested_at,
    isCompensating: row.compensating_at !== null,
    isPaused: row.is_paused,
    pausedBy: row.paused_by,
  },
  ...toWaits(row),
  control: { pausedAt: row.queue_paused_at, maxExecuting: row.queue_max, executing: row.queue_executing },
  concurrency:
    row.concurrency_key === null || row.concurrency_limit === null
      ? null
      : {
          key: row.concurrency_key,
          limit: row.concurrency_limit,
          executing: row.key_executing,
          by: (row.key_by ?? []).map((one) => ({ kind: 'task', ...one })),
        },
  blockers: (row.blockers ?? []).map((one) => ({ kind: 'task', ...one })),
  blockedBy: row.blocked_by,
  letter:
    row.letter_id === null || row.letter_at === null || row.letter_error === null
      ? null
      : { id: row.letter_id, createdAt: row.letter_at, error: row.letter_error },
  lease:
    row.lease_owner === null || row.lease_expires_at === null
      ? null
      : {
          instanceId: row.lease_owner,
          startedAt: row.attempt_started_at ?? row.at,
          expiresAt: row.lease_expires_at,
          attemptDeadlineAt: row.attempt_deadline_at,
        },
  agents,
})

const toWaits = (row: Row): Pick<ExplainFacts, 'child' | 'wait' | 'approval' | 'verification'> => ({
  verification:
    row.verify_kind === null
      ? null
      : { kind: row.verify_kind, round: row.verify_round, since: row.verify_since, reviewer: row.reviewer },
  child: row.child,
  wait:
    row.wait_name === null
      ? null
      : {
          name: row.wait_name,
          kind: row.wait_kind,
          signal: row.wait_signal,
          since: row.wait_since,
          fireAt: row.wait_fire_at,
        },
  approval:
    row.approval_id === null
      ? null
      : {
          id: row.approval_id,
          title: row.approval_title,
          since: row.approval_since,
          deadlineAt: row.approval_deadline_at,
        },
})
