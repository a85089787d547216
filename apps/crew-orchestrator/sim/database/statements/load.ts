/** The statements of `store/load.ts`, and the locks of `store/due.ts` and `store/waits.ts` that are made like them. */
import { predicate } from '../predicate.ts'
import type { TaskRow } from '../rows.ts'
import { between, byId, records, scopeOf } from '../statement.ts'
import type { Call, Statement } from '../statement.ts'

export const lockMissions: Statement = {
  name: 'lockMissions',
  marks: ['from missions m where m.id = any($', 'order by m.id'],
  async run({ session, text, params }) {
    const ids = [...(params[0] as string[])].sort()
    const isSkipping = text.endsWith('skip locked')
    const isLocking = text.includes('for no key update')
    const found: object[] = []
    for (const id of ids) {
      if (session.get('missions', id) === undefined) continue
      if (isSkipping && !session.tryLock('missions', id)) continue
      if (isLocking) await session.lock('missions', id)
      const row = session.get('missions', id)
      if (row !== undefined) found.push(row)
    }
    return found
  },
}

/** `select … from tasks t where … for no key update [skip locked]`, judged again after each lock. */
export async function lockTasksWhere(
  call: Call,
  isSkipping: boolean,
  holds: (task: TaskRow) => boolean,
  order: (a: TaskRow, b: TaskRow) => number = byId,
  limit = Number.POSITIVE_INFINITY,
): Promise<TaskRow[]> {
  const { session } = call
  const seen = session.rows('tasks').filter(holds).sort(order)
  if (seen.length > 0) await session.breathe()
  const locked: TaskRow[] = []
  for (const { id } of seen) {
    if (locked.length >= limit) break
    if (isSkipping) {
      if (!session.tryLock('tasks', id)) continue
    } else await session.lock('tasks', id)
    const task = session.get('tasks', id)
    if (task !== undefined && holds(task)) locked.push(task)
  }
  return locked
}

const whereTasks = (call: Call, text: string): ((task: TaskRow) => boolean) => {
  const condition = predicate(text)
  return (task) => condition(scopeOf(call, { t: task }))
}

export const lockWaiting: Statement = {
  name: 'lockWaiting',
  marks: ['from tasks t where t.mission_id = any(', 'order by t.id for no key update skip locked'],
  run: async (call) =>
    // No task of the simulation waits for a mission of its own.
    lockTasksWhere(call, true, whereTasks(call, between(call.text, 'from tasks t where', 'and not ('))),
}

export const lockExecuting: Statement = {
  name: 'lockExecuting',
  marks: ['from tasks t where t.mission_id = $1 and', 'order by t.id limit $2 for no key update skip locked'],
  run: async (call) =>
    lockTasksWhere(
      call,
      true,
      whereTasks(call, between(call.text, 'from tasks t where', 'order by t.id')),
      byId,
      call.params[1] as number,
    ),
}

export const lockTasks: Statement = {
  name: 'lockTasks',
  marks: ['from tasks t where t.id = any($1::uuid[]) order by t.id for no key update of t'],
  run: async (call) => lockTasksWhere(call, false, (task) => (call.params[0] as string[]).includes(task.id)),
}

export const lockFree: Statement = {
  name: 'lockFree',
  marks: ['from tasks t where t.id = $1 for no key update of t skip locked'],
  run: async (call) => lockTasksWhere(call, true, ({ id }) => id === call.params[0]),
}

export const lockDependents: Statement = {
  name: 'lockDependents',
  marks: ['d.depends_on from task_dependencies d join tasks t'],
  async run(call) {
    const { session, text } = call
    const condition = predicate(between(text, 'on t.id = d.task_id where', 'order by t.id'))
    const edges = session
      .rows('task_dependencies')
      .filter((edge) => (call.params[0] as string[]).includes(edge.depends_on))
    const isMeant = (task: TaskRow): boolean =>
      edges.some((edge) => edge.task_id === task.id && condition(scopeOf(call, { t: task, d: edge })))
    const locked = await lockTasksWhere(call, false, isMeant)
    return locked.flatMap((task) =>
      edges.filter((edge) => edge.task_id === task.id).map((edge) => ({ ...task, depends_on: edge.depends_on })),
    )
  },
}

export const readInputs: Statement = {
  name: 'readInputs',
  marks: ['select t.id, t.input from tasks t where t.id = any('],
  run: ({ session, params }) => session.rows('tasks').filter((task) => (params[0] as string[]).includes(task.id)),
}

export const readOutputs: Statement = {
  name: 'readOutputs',
  marks: ['select t.mission_id, t.key, t.output, t.state from'],
  run(call) {
    const wanted = records<{ mission_id: string; key: string }>(call, 'w')
    return call.session
      .rows('tasks')
      .filter((task) => wanted.some((one) => one.mission_id === task.mission_id && one.key === task.key))
  },
}

export const readElements: Statement = {
  name: 'readElements',
  marks: ['select t.id, t.parent_id, t.key, t.state, t.output from'],
  run(call) {
    const parents = new Set(records<{ parent_id: string }>(call, 'p').map((row) => row.parent_id))
    return call.session
      .rows('tasks')
      .filter((task) => task.parent_id !== null && parents.has(task.parent_id))
      .sort(byId)
  },
}

export const readLeafOutputs: Statement = {
  name: 'readLeafOutputs',
  marks: ['select t.mission_id, t.key, t.output from tasks t where t.mission_id = any('],
  run(call) {
    const holds = predicate(call.text.slice(call.text.indexOf(' where ') + 7))
    return call.session.rows('tasks').filter((task) => holds(scopeOf(call, { t: task })))
  },
}
