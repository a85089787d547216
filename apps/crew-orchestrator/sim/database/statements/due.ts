/** The statements of `store/due.ts`, and those of `store/waits.ts` that go by the clock. */
import { dueAt, later, least } from '../rows.ts'
import type { TaskRow } from '../rows.ts'
import type { Call, Statement } from '../statement.ts'
import { between, scopeOf } from '../statement.ts'
import { predicate } from '../predicate.ts'
import { lockTasksWhere } from './load.ts'

const hasCome = (at: number | null, now: number): boolean => at !== null && at <= now
const byDue = (a: TaskRow, b: TaskRow): number => (dueAt(a) ?? 0) - (dueAt(b) ?? 0) || (a.id < b.id ? -1 : 1)

/** HOLDER_IS_SILENT of `store/due.ts`. */
function isHolderSilent({ session }: Call, task: TaskRow): boolean {
  const holder = session.get('agent_instances', task.lease_owner ?? '')
  return holder !== undefined && holder.incarnation === task.lease_incarnation && holder.lifecycle !== 'stopped'
}

/** LEASE_ONLY of `store/due.ts`. */
function isLeaseOnly(call: Call, task: TaskRow, now: number): boolean {
  const other = least(task.attempt_deadline_at, task.progress_deadline_at, task.total_deadline_at)
  const isOver = task.state === 'executing' && hasCome(task.lease_expires_at, now) && (other === null || other > now)
  return isOver && isHolderSilent(call, task)
}

/** The instant that due times are compared with. */
function nowOf({ session, text, params }: Call): number {
  const found = /t\.due_at <= \$(\d+)::float8/.exec(text)
  return found === null ? session.now : (params[Number(found[1]) - 1] as number)
}

/** `due_at <= now()` and the kind that the statement asks for. */
function isDue(call: Call): (task: TaskRow) => boolean {
  const { text, params } = call
  const now = nowOf(call)
  const others = /t\.state not in \([^)]*\)/.exec(text)
  const left = others === null ? undefined : predicate(others[0])
  const only = /and t\.id = \$(\d+)/.exec(text)
  const id = only === null ? undefined : params[Number(only[1]) - 1]
  return (task) =>
    hasCome(dueAt(task), now) &&
    (left === undefined
      ? isLeaseOnly(call, task, now)
      : left({ rows: { t: task }, params, now }) && !isLeaseOnly(call, task, now)) &&
    (id === undefined || task.id === id)
}

const limitOf = ({ text, params }: Call): number => {
  const found = /limit \$(\d+)/.exec(text)
  return found === null ? Number.POSITIVE_INFINITY : (params[Number(found[1]) - 1] as number)
}

export const prolongTasks: Statement = {
  name: 'prolongTasks',
  marks: ['update tasks set total_deadline_at = now() + total_timeout_ms'],
  async run({ session, params }) {
    for (const id of params[0] as string[])
      await session.update('tasks', id, (t) => ({ ...t, total_deadline_at: later(session.now, t.total_timeout_ms) }))
    return []
  },
}

export const lockDue: Statement = {
  name: 'lockDue',
  marks: ['as lease_over', 'order by t.due_at limit'],
  async run(call) {
    const now = nowOf(call)
    const locked = await lockTasksWhere(call, true, isDue(call), byDue, limitOf(call))
    return locked.map((task) => ({
      ...task,
      lease_over: hasCome(task.lease_expires_at, now),
      attempt_over: hasCome(task.attempt_deadline_at, now),
      progress_over: hasCome(task.progress_deadline_at, now),
      queue_over: hasCome(task.queue_deadline_at, now),
      total_over: hasCome(task.total_deadline_at, now),
      available_over: hasCome(task.available_at, now),
    }))
  },
}

export const findDueWaits: Statement = {
  name: 'findDueWaits',
  marks: ['select t.id, t.mission_id from tasks t where t.due_at <= now() and'],
  run(call) {
    const states = predicate(between(call.text, 't.due_at <= now() and', 'order by'))
    return call.session
      .rows('tasks')
      .filter((task) => hasCome(dueAt(task), call.session.now) && states(scopeOf(call, { t: task })))
      .sort(byDue)
      .slice(0, limitOf(call))
  },
}

export const findDue: Statement = {
  name: 'findDue',
  marks: ['select t.id from tasks t where t.due_at <= now() and'],
  run: (call) => call.session.rows('tasks').filter(isDue(call)).sort(byDue).slice(0, limitOf(call)),
}

export const lockDueWaits: Statement = {
  name: 'lockDueWaits',
  marks: ['w.name as wait, w.kind from tasks t left join waits w'],
  async run(call) {
    const { now } = call.session
    const waits = call.session.rows('waits').filter((wait) => wait.fired_at === null)
    const states = predicate(between(call.text, 't.id = any($1::uuid[]) and', 'and t.due_at'))
    const isMeant = (task: TaskRow): boolean =>
      (call.params[0] as string[]).includes(task.id) && states(scopeOf(call, { t: task })) && hasCome(dueAt(task), now)
    const locked = await lockTasksWhere(call, false, isMeant)
    return locked.map((task) => {
      const wait = waits.find((one) => one.task_id === task.id)
      return {
        ...task,
        available: hasCome(task.available_at, now),
        total: hasCome(task.total_deadline_at, now),
        wait: wait?.name ?? null,
        kind: wait?.kind ?? null,
      }
    })
  },
}

export const countLeases: Statement = {
  name: 'countLeases',
  marks: ['as live, (select count(*) from (select 1 from tasks t where t.due_at <= now()'],
  run(call) {
    const { session } = call
    const held = session.rows('tasks').filter((task) => task.lease_owner !== null)
    const expired = held.filter((task) => hasCome(task.lease_expires_at, session.now) && isHolderSilent(call, task))
    return [{ live: held.length, expired: expired.length }]
  },
}

export const findOverdueMissions: Statement = {
  name: 'findOverdueMissions',
  marks: ['select id from missions where ended_at is null and deadline_at is not null'],
  run: ({ session }) =>
    session
      .rows('missions')
      .filter(
        (one) =>
          one.ended_at === null &&
          hasCome(one.deadline_at, session.now) &&
          one.cancel_requested_at === null &&
          one.compensating_at === null,
      ),
}

/** Missions that are being canceled and have tasks in the states that the statement lists. */
function canceling(call: Call, states: string, mostRecentMs: number): object[] {
  const { session } = call
  const condition = predicate(states)
  const waiting = new Set(
    session
      .rows('tasks')
      .filter((task) => condition(scopeOf(call, { t: task })))
      .map((task) => task.mission_id),
  )
  return session
    .rows('missions')
    .filter(
      (one) =>
        one.ended_at === null &&
        one.compensating_at === null &&
        hasCome(one.cancel_requested_at, mostRecentMs) &&
        waiting.has(one.id),
    )
}

export const findBeyondGrace: Statement = {
  name: 'findBeyondGrace',
  marks: ['m.cancel_requested_at <= now() - $1'],
  run: (call) =>
    canceling(
      call,
      between(call.text, 't.mission_id = m.id and', ') order by'),
      call.session.now - (call.params[0] as number),
    ),
}

export const findLeftWaiting: Statement = {
  name: 'findLeftWaiting',
  marks: [
    'm.cancel_requested_at is not null and m.compensating_at is null and exists',
    'order by m.cancel_requested_at',
  ],
  run: (call) => canceling(call, between(call.text, 't.mission_id = m.id and', 'and not ('), Number.POSITIVE_INFINITY),
}
