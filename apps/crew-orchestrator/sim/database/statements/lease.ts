/** The statements of `store/lease.ts` and `store/look-for-work.ts`. */
import type { Session } from '../database.ts'
import { predicate } from '../predicate.ts'
import { later } from '../rows.ts'
import type { InstanceRow, MissionRow, TaskRow } from '../rows.ts'
import { between, byId, param, records, scopeOf } from '../statement.ts'
import type { Call, Statement } from '../statement.ts'
import { attemptOf } from './hand-over.ts'
import { sendHints } from './parts.ts'
import { byRank, executingInQueue, keyedReady } from './places.ts'

interface Ask {
  ord: number
  claim_id: string
  subject: string
  incarnation: number
  max: number
}

interface Live extends Ask {
  owner: InstanceRow
  free: number
  /** Tasks that this very claim holds already. */
  mine: TaskRow[]
}

interface Slot {
  ord: number
  claim_id: string
  owner: InstanceRow
}

export const leaseTasks: Statement = {
  name: 'leaseTasks',
  marks: ['leased as ( update tasks t set'],
  async run(call) {
    const { session } = call
    const live = findLive(call)
    const slots = slotsOf(live)
    const { candidates, isBusy } = await findCandidates(call, slots.length)
    if (candidates.length > 0) await session.breathe()
    const isStill = predicate(
      between(call.text, 't.ctid = any(array(select spot from candidates))', 'for update of t skip locked'),
    )
    const locked = candidates.filter(({ id }) => {
      if (!session.tryLock('tasks', id)) return false
      return isStill(scopeOf(call, { t: session.get('tasks', id) }))
    })
    const leased = locked.map(({ id }, index) => lease(call, session.get('tasks', id) as TaskRow, slots[index] as Slot))
    const hints = await tellMissions(session, leased)
    const given = [...leased, ...live.flatMap(({ ord, mine }) => mine.map((task) => ({ task, ord })))]
    return [
      {
        live: live.map(({ ord }) => ord),
        tasks: given.sort((a, b) => byId(a.task, b.task)).map(({ task, ord }) => answerOf(session, task, ord)),
        hints,
        outbox_id: hints === null ? null : sendHints(session, hints),
        candidates: candidates.length,
        leased: leased.length,
        busy: isBusy,
      },
    ]
  },
}

function findLive(call: Call): Live[] {
  const { session, text } = call
  const joins = predicate(between(text, 'join agent_instances i on', 'cross join lateral ( select count(*) as n'))
  const mayWork = predicate(between(text, 'case when', 'then i.slots - mine.n'))
  const tasks = session.rows('tasks')
  return records<Ask>(call, 'a').flatMap((a) =>
    session
      .rows('agent_instances')
      .filter((i) => joins(scopeOf(call, { a, i })))
      .map((i) => {
        const held = tasks.filter((task) => task.lease_owner === i.id)
        return {
          ...a,
          owner: i,
          free: mayWork(scopeOf(call, { a, i })) ? i.slots - held.length : 0,
          mine: held.filter((task) => task.claim_id === a.claim_id),
        }
      }),
  )
}

/** `wanted` and `slots`: places go round the claims one by one, and no instance gets more than it has free. */
function slotsOf(live: readonly Live[]): Slot[] {
  const wanted = live
    .filter(({ mine }) => mine.length === 0)
    .flatMap((one) => Array.from({ length: Math.max(0, Math.min(one.max, one.free)) }, (_, turn) => ({ ...one, turn })))
    .sort((a, b) => a.turn - b.turn || a.ord - b.ord)
  const taken = new Map<string, number>()
  return wanted.filter(({ owner, free }) => {
    const nth = (taken.get(owner.id) ?? 0) + 1
    taken.set(owner.id, nth)
    return nth <= free
  })
}

/** `open_queues`, `keyed`, `ranked` and `candidates`. Whether places are being given out by somebody else, too. */
async function findCandidates(call: Call, most: number): Promise<{ candidates: TaskRow[]; isBusy: boolean }> {
  const { session, text } = call
  if (most === 0) return { candidates: [], isBusy: false }
  const skills = param<string[]>(call, /from unnest\(\$(\d+)::text\[\]\) as s\(queue\)/)
  const tenant = param<string>(call, /left join queue_controls c on c\.tenant_id = \$(\d+)/)
  const isOpen = predicate(
    between(text, 'and c.queue = s.queue where', '(select n > 0 from room)').replace(/ ?and$/, ''),
  )
  const open = skills
    .map((queue) => ({ queue, c: session.get('queue_controls', `${tenant}/${queue}`) }))
    .filter(({ c }) => isOpen(scopeOf(call, { c })))
  const ungated = findUngated(call, new Set(open.map(({ queue }) => queue)))
  const isKeyed = session
    .rows('tasks')
    .some((t) => t.state === 'queued' && t.concurrency_key !== null && !t.held && skills.includes(t.queue))
  const limited = open.filter(({ c }) => c !== undefined && c.max_executing !== null)
  // The functions see what has been committed since the statement began.
  if (isKeyed || limited.length > 0) await session.breathe()
  const places = new Map(
    limited.map(({ queue, c }) => {
      const used = executingInQueue(session, tenant, queue)
      return [queue, used === null ? null : (c?.max_executing as number) - used]
    }),
  )
  const queues = open.map(({ queue }) => queue)
  const keyed = isKeyed ? keyedReady(session, tenant, queues, skills, most) : []
  const ranked = [...ungated, ...keyed.filter((task) => task !== undefined)].sort(byRank)
  const taken = new Map<string, number>()
  const fitting = ranked.filter(({ queue }) => {
    const nth = (taken.get(queue) ?? 0) + 1
    taken.set(queue, nth)
    return !places.has(queue) || nth <= (places.get(queue) ?? 0)
  })
  return {
    candidates: fitting.slice(0, most),
    isBusy: keyed.includes(undefined) || [...places.values()].includes(null),
  }
}

function findUngated(call: Call, queues: ReadonlySet<string>): TaskRow[] {
  const { session, text } = call
  const from = text.indexOf('ranked as')
  const mayBegin = predicate(
    between(text.slice(from), 'from tasks t where', 'order by t.rank_at').replace('t.queue = o.queue and', ''),
  )
  return session
    .rows('tasks')
    .filter((t) => queues.has(t.queue) && mayBegin(scopeOf(call, { t, m: session.get('missions', t.mission_id) })))
}

function lease(call: Call, t: TaskRow, { ord, claim_id, owner }: Slot): { task: TaskRow; ord: number } {
  const { session } = call
  const { now } = session
  const leaseMs = param<number>(call, /lease_expires_at = now\(\) \+ \$(\d+) \*/)
  const task: TaskRow = {
    ...t,
    state: 'executing',
    reason: null,
    attempt: t.attempt + 1,
    lease_owner: owner.id,
    lease_incarnation: owner.incarnation,
    claim_id,
    lease_expires_at: now + leaseMs,
    attempt_deadline_at: later(now, t.attempt_timeout_ms),
    progress_deadline_at: later(now, t.heartbeat_timeout_ms),
    queue_deadline_at: null,
    started_at: t.started_at ?? now,
    version: t.version + 1,
  }
  session.put('tasks', task)
  session.put('attempts', attemptOf(session, task))
  return { task, ord }
}

/** `touched`, `moved`, `told` and `hints`: the missions are locked after the tasks, in their order. */
async function tellMissions(session: Session, leased: readonly { task: TaskRow }[]): Promise<object[] | null> {
  if (leased.length === 0) return null
  const byMission = Map.groupBy(
    leased.map(({ task }) => task),
    (task) => task.mission_id,
  )
  const hints: object[] = []
  for (const [id, tasks] of [...byMission].sort(([a], [b]) => (a < b ? -1 : 1))) {
    await session.lock('missions', id)
    const m = session.get('missions', id) as MissionRow
    const starts = m.started_at === null
    const first = m.event_seq + 1
    const moved: MissionRow = {
      ...m,
      event_seq: m.event_seq + tasks.length + (starts ? 1 : 0),
      state: m.state === 'submitted' ? 'running' : m.state,
      started_at: m.started_at ?? session.now,
      version: m.version + 1,
    }
    session.put('missions', moved)
    const told = { mission_id: id, tenant_id: m.tenant_id }
    if (starts) session.put('mission_events', { ...told, seq: first, type: 'mission.started', task_id: null, body: {} })
    tasks.sort(byId).forEach((task, index) => {
      const seq = first + (starts ? 1 : 0) + index
      const body = { key: task.key, attempt: task.attempt, agentInstanceId: task.lease_owner }
      session.put('mission_events', { ...told, seq, type: 'task.claimed', task_id: task.id, body })
    })
    hints.push({
      kind: 'mission',
      tenantId: m.tenant_id,
      missionId: id,
      seq: moved.event_seq,
      correlationId: m.correlation_id,
    })
  }
  return hints
}

function answerOf(session: Session, task: TaskRow, ord: number): object {
  const mission = session.get('missions', task.mission_id) as MissionRow
  const { id, mission_id, key, queue, attempt, max_attempts, input, error } = task
  return {
    ...{ ord, id, mission_id, key, queue, attempt, max_attempts, input, error },
    attempt_left_ms: task.attempt_deadline_at === null ? null : task.attempt_deadline_at - session.now,
    crew: mission.crew,
    correlation_id: mission.correlation_id,
    traceparent: mission.traceparent,
  }
}

export const lookForWork: Statement = {
  name: 'lookForWork',
  marks: ['as queued, exists (select from live l join tasks t'],
  run(call) {
    const { session, text } = call
    const joins = predicate(between(text, 'join agent_instances i on', ') select (select json_agg(ord)'))
    const skills = param<string[]>(call, /from unnest\(\$(\d+)::text\[\]\) as skill/)
    const live = records<Ask>(call, 'a').flatMap((a) =>
      session
        .rows('agent_instances')
        .filter((i) => joins(scopeOf(call, { a, i })))
        .map((i) => ({ a, i })),
    )
    const tasks = session.rows('tasks')
    const paused = new Set(session.rows('queue_controls').map((c) => (c.paused_at === null ? undefined : c.queue)))
    const open = skills.filter((queue) => !paused.has(queue))
    return [
      {
        live: live.map(({ a }) => a.ord),
        queued: tasks.some((task) => task.state === 'queued' && !task.held && open.includes(task.queue)),
        held: live.some(({ a, i }) => tasks.some((task) => task.lease_owner === i.id && task.claim_id === a.claim_id)),
      },
    ]
  },
}

export const readSteps: Statement = {
  name: 'readSteps',
  marks: ['from "steps" where "task_id" in'],
  run: ({ session, params }) => session.rows('steps').filter((step) => params.includes(step.task_id)),
}
