import { parseClaimSkill } from '@hypercode/contracts'
import { recordset, repeatable } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import type { ClaimedTask, StepRecord, TaskError } from '@hypercode/contracts'
import type { MissionHint, OutboxRow } from '@hypercode/events'
import { sql } from 'kysely'
import { GIVEN_CHARS_MAX } from '../domain/hand-over.ts'

/** One waiting claim of an agent instance. */
export interface LeaseAsk {
  claimId: string
  subject: string
  incarnation: number
  max: number
}

export interface Leased {
  /** Per ask, in order: its tasks, which may be none, or that another incarnation of the instance has taken over. */
  answers: ({ kind: 'tasks'; tasks: ClaimedTask[] } | { kind: 'fenced' })[]
  outbox: OutboxRow | undefined
  /** Other claims were at the same rows, keys or queues, or all of them would have been too large: there may be more work than this statement got. */
  contended: boolean
}

interface LeasedRow {
  ord: number
  id: string
  mission_id: string
  key: string
  queue: string
  attempt: number
  max_attempts: number
  input: unknown
  attempt_left_ms: number | null
  error: TaskError | null
  crew: string
  correlation_id: string
  traceparent: string | null
}

/**
 * Leases queued tasks to the claims of instances with the same skills, in one statement for all of them.
 *
 * An instance gets work only when it is ready, of its current incarnation and beating, and no more than it has free slots, whatever the
 * number of its claims here. Tasks go round the claims one by one, so that no instance takes all while another idles. A claim id that
 * holds leases already gets those again.
 * What is next is said by `rank_at`. A queue that is paused is not looked at; places of a limited queue, and of a concurrency key, are
 * counted by functions that first lock them and then see every commit before, so that no two claims give out the same place.
 * The candidates are found first and locked after: locking inside the search would, with several skills, hold rows that are not taken.
 * What was found is found again by where its row is in the table (`ctid`), a spot that no vacuum gives to another row while the statement
 * runs. A row that somebody has changed meanwhile has moved, and is left for the next claim.
 */
export async function leaseTasks(
  db: Db,
  tenantId: string,
  skills: readonly string[],
  asks: readonly LeaseAsk[],
  leaseMs: number,
): Promise<Leased> {
  // A claim that its caller repeats while the first one waits is one claim: all get its tasks.
  const distinct = new Map(asks.map((ask) => [keyOf(ask), ask]))
  const rows = Array.from(distinct.values(), (ask, ord) => ({
    ord,
    claim_id: ask.claimId,
    subject: ask.subject,
    incarnation: ask.incarnation,
    max: ask.max,
  }))
  const statement = sql<{
    live: number[] | null
    tasks: LeasedRow[] | null
    hints: (Omit<MissionHint, 'kind' | 'tenantId'> & { missionId: string })[] | null
    outbox_id: number | null
    candidates: number
    leased: number
    busy: boolean
  }>`
    with live as (
      select a.ord, a.claim_id, a.max, i.id as owner, i.incarnation, mine.replay,
        case when i.lifecycle = 'ready' and i.lease_expires_at > now() then i.slots - mine.n else 0 end as free
      from ${recordset(rows, 'a', 'ord int, claim_id uuid, subject text, incarnation bigint, max int')}
      join agent_instances i on i.tenant_id = ${tenantId} and i.subject = a.subject and i.incarnation = a.incarnation
        and i.lifecycle not in ('stopped', 'reaped')
      cross join lateral (
        select count(*) as n, count(*) filter (where t.claim_id = a.claim_id) as replay from tasks t where t.lease_owner = i.id) mine),
    room as (
      select coalesce(sum(least(free, asked)), 0)::int as n
      from (select greatest(free, 0) as free, sum(max) as asked from live where replay = 0 group by owner, free) o),
    open_queues as materialized (
      select s.queue, case when c.max_executing is not null then c.max_executing - executing_in_queue(c.tenant_id, c.queue) end as places,
        c.max_executing is not null as limited
      from unnest(${skills}::text[]) as s(queue) left join queue_controls c on c.tenant_id = ${tenantId} and c.queue = s.queue
      where c.paused_at is null and (select n > 0 from room)),
    keyed as materialized (
      -- Asked first whether there is any: to enter the function takes Postgres 0.4 ms, a fifth of the whole claim.
      select k.* from keyed_ready(${tenantId}, (select array_agg(queue) from open_queues), ${skills}::text[], (select n from room)) k
      where exists (select from tasks t where t.tenant_id = ${tenantId} and t.queue = any(${skills}::text[]) and t.state = 'queued'
        and t.concurrency_key is not null and not t.held)),
    ranked as (
      select o.queue, o.places, o.limited, c.id, c.rank_at, c.spot from open_queues o
      cross join lateral (
        select t.id, t.rank_at, t.ctid as spot from tasks t
        where t.tenant_id = ${tenantId} and t.queue = o.queue and t.state = 'queued' and t.ungated and t.requires <@ ${skills}::text[]
          -- A task that slipped past a cancel or a pause, in the hands of somebody else just then, is not begun. What a mission that
          -- compensates has open came after its cancel.
          and (select (m.cancel_requested_at is null or m.compensating_at is not null) and m.state <> 'paused' from missions m where m.id = t.mission_id)
        order by t.rank_at, t.id limit (select n from room)) c
      union all
      select o.queue, o.places, o.limited, k.id, k.rank_at, (select t.ctid from tasks t where t.id = k.id) from open_queues o join keyed k using (queue)),
    candidates as (
      select id, spot from (select r.*, row_number() over (partition by queue order by rank_at, id) as nth from ranked r) r
      where not limited or nth <= places order by rank_at, id limit (select n from room)),
    wanted as (
      -- Free places go into the hundreds, and what is queued is one task: as many turns as there are tasks are enough.
      select l.*, turn, row_number() over (partition by owner order by turn, ord) as nth
      from live l cross join lateral generate_series(1, least(l.max, l.free, (select count(*) from candidates))) as turn where replay = 0),
    slots as (
      select ord, claim_id, owner, incarnation, row_number() over (order by turn, ord) as rn from wanted where nth <= free),
    locked as (
      select t.id, t.ctid as spot, t.rank_at, coalesce(octet_length(t.input::text), 0) + case when t.attempt = 0 then 0
        else (select coalesce(sum(octet_length(s.response::text)), 0) from steps s where s.task_id = t.id) end as chars
      from tasks t where t.ctid = any(array(select spot from candidates)) and t.state = 'queued' for update of t skip locked),
    measured as (
      select spot, chars, sum(chars) over best as chars_so_far, row_number() over best as rn from locked
      window best as (order by rank_at, id rows unbounded preceding)),
    numbered as (select spot, rn from measured where rn = 1 or chars_so_far <= ${GIVEN_CHARS_MAX}),
    leased as (
      update tasks t set state = 'executing', reason = null, attempt = t.attempt + 1, lease_owner = s.owner, lease_incarnation = s.incarnation,
        claim_id = s.claim_id, progress = null, lease_expires_at = now() + ${leaseMs} * interval '1 millisecond',
        attempt_deadline_at = now() + t.attempt_timeout_ms * interval '1 millisecond',
        progress_deadline_at = now() + t.heartbeat_timeout_ms * interval '1 millisecond',
        queue_deadline_at = null, started_at = coalesce(t.started_at, now()), version = t.version + 1
      from numbered n join slots s using (rn) where t.ctid = n.spot
      returning t.*, s.ord),
    opened as (
      -- now() is when this statement was sent: what it found queued may have been queued a moment after that.
      insert into attempts (task_id, attempt, tenant_id, agent_instance_id, incarnation, claim_id, started_at)
      select id, attempt, tenant_id, lease_owner, lease_incarnation, claim_id, clock_timestamp() from leased),
    touched as (
      select m.id, l.n, m.started_at is null as starts from missions m join (select mission_id, count(*) as n from leased group by mission_id) l on l.mission_id = m.id
      order by m.id for no key update of m),
    moved as (
      update missions m set event_seq = m.event_seq + l.n + case when l.starts then 1 else 0 end,
        state = case when m.state = 'submitted' then 'running' else m.state end, started_at = coalesce(m.started_at, now()), version = m.version + 1
      from touched l where m.id = l.id
      returning m.id, m.tenant_id, m.crew, m.correlation_id, m.traceparent, m.event_seq, l.n, l.starts),
    told as (
      insert into mission_events (mission_id, seq, tenant_id, type, task_id, body)
      select id, event_seq - n, tenant_id, 'mission.started', null, '{}' from moved where starts
      union all
      select l.mission_id, m.event_seq - m.n + row_number() over (partition by l.mission_id order by l.id), m.tenant_id, 'task.claimed', l.id,
        jsonb_build_object('key', l.key, 'attempt', l.attempt, 'agentInstanceId', l.lease_owner)
      from leased l join moved m on m.id = l.mission_id),
    hints as (
      select jsonb_build_object('kind', 'mission', 'tenantId', tenant_id, 'missionId', id, 'seq', event_seq, 'correlationId', correlation_id) as hint
      from moved),
    sent as (insert into outbox (payload) select jsonb_agg(hint) from hints having count(*) > 0 returning id, payload),
    held as (
      select l.ord, t.* from live l join tasks t on t.lease_owner = l.owner and t.claim_id = l.claim_id where l.replay > 0),
    given as (
      select l.ord, l.id, l.mission_id, l.key, l.queue, l.attempt, l.max_attempts, l.input, l.error, l.attempt_deadline_at,
        m.crew, m.correlation_id, m.traceparent from leased l join moved m on m.id = l.mission_id
      union all
      select h.ord, h.id, h.mission_id, h.key, h.queue, h.attempt, h.max_attempts, h.input, h.error, h.attempt_deadline_at,
        m.crew, m.correlation_id, m.traceparent from held h join missions m on m.id = h.mission_id)
    select (select json_agg(ord) from live) as live,
      (select json_agg(json_build_object('ord', g.ord, 'id', g.id, 'mission_id', g.mission_id, 'key', g.key, 'queue', g.queue, 'attempt', g.attempt,
          'max_attempts', g.max_attempts, 'input', g.input, 'error', g.error, 'attempt_left_ms', extract(epoch from g.attempt_deadline_at - now()) * 1000,
          'crew', g.crew, 'correlation_id', g.correlation_id, 'traceparent', g.traceparent) order by g.id)
        from given g) as tasks,
      (select payload from sent) as hints, (select id from sent) as outbox_id,
      (select count(*) from candidates) as candidates, (select count(*) from leased) as leased,
      exists (select from keyed where id is null) or exists (select from open_queues where limited and places is null) as busy`
  const [row] = (await repeatable(async () => await statement.execute(db))).rows
  if (row === undefined) throw new Error('the lease statement answered no row')
  const steps = await readSteps(
    db,
    (row.tasks ?? []).filter((task) => task.attempt > 1).map((task) => task.id),
  )
  const live = new Set(row.live ?? [])
  const byOrd = Map.groupBy(row.tasks ?? [], (task) => task.ord)
  const ordOf = new Map(Array.from(distinct.keys(), (key, ord) => [key, ord]))
  return {
    answers: asks.map((ask) => {
      const ord = ordOf.get(keyOf(ask)) as number
      if (!live.has(ord)) return { kind: 'fenced' }
      const mine = byOrd.get(ord) ?? []
      return { kind: 'tasks', tasks: mine.map((task) => toClaimed(task, tenantId, leaseMs, steps.get(task.id) ?? [])) }
    }),
    outbox: row.outbox_id === null ? undefined : { id: row.outbox_id, hints: (row.hints ?? []) as MissionHint[] },
    contended: row.busy || row.leased < row.candidates,
  }
}

const keyOf = (ask: LeaseAsk): string => `${ask.claimId} ${ask.incarnation} ${ask.subject}`

function toClaimed(row: LeasedRow, tenantId: string, leaseMs: number, steps: StepRecord[]): ClaimedTask {
  return {
    taskId: row.id,
    missionId: row.mission_id,
    tenantId,
    crew: row.crew,
    key: row.key,
    skill: parseClaimSkill(row.queue).skill,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    input: row.input ?? null,
    leaseMs,
    ...(row.attempt_left_ms === null ? {} : { attemptTimeoutMs: Math.max(0, Math.round(row.attempt_left_ms)) }),
    ...(row.error === null ? {} : { previousError: row.error }),
    correlationId: row.correlation_id,
    ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
    steps,
  }
}

async function readSteps(db: Db, taskIds: readonly string[]): Promise<Map<string, StepRecord[]>> {
  const byTask = new Map<string, StepRecord[]>()
  if (taskIds.length === 0) return byTask
  const found = await db
    .selectFrom('steps')
    .select(['task_id', 'name', 'request_hash', 'response'])
    .where('task_id', 'in', [...taskIds])
    .orderBy('created_at')
    .execute()
  for (const row of found) {
    const step = {
      name: row.name,
      ...(row.request_hash === null ? {} : { requestHash: row.request_hash }),
      response: row.response,
    }
    byTask.set(row.task_id, [...(byTask.get(row.task_id) ?? []), step])
  }
  return byTask
}

/** The instance behind a claim. */
export interface Claimant {
  instanceId: string
  skills: readonly string[]
}

/** Who claims, and the skills with which it registered, or undefined when this incarnation is not the one that may work. */
export async function findClaimant(
  db: Db,
  tenantId: string,
  subject: string,
  incarnation: number,
): Promise<Claimant | undefined> {
  const row = await db
    .selectFrom('agent_instances')
    .select(['id', 'skills'])
    .where('tenant_id', '=', tenantId)
    .where('subject', '=', subject)
    .where('incarnation', '=', incarnation)
    .where('lifecycle', 'not in', ['stopped', 'reaped'])
    .executeTakeFirst()
  return row === undefined ? undefined : { instanceId: row.id, skills: row.skills }
}
