/** The statements about waits and signals in `store/waits.ts` and `store/signals.ts`, and those about paused missions in `store/held-tasks.ts`. */
import { predicate } from '../predicate.ts'
import { between, records, scopeOf } from '../statement.ts'
import type { Statement } from '../statement.ts'
import { lockTasksWhere } from './load.ts'

export const countWaits: Statement = {
  name: 'readKnownWaits',
  marks: ['select r.ord, count(w.task_id) as count'],
  run: (call) =>
    records<{ ord: number; task_id: string; name: string }>(call, 'r').map(({ ord, task_id, name }) => {
      const waits = call.session.rows('waits').filter((wait) => wait.task_id === task_id)
      return { ord, count: waits.length, repeated: waits.some((wait) => wait.name === name) }
    }),
}

export const readKept: Statement = {
  name: 'readKept',
  marks: ['join signals s on s.mission_id = r.mission_id'],
  run(call) {
    const wanted = records<{ mission_id: string; name: string }>(call, 'r')
    return call.session
      .rows('signals')
      .filter(
        (one) =>
          one.taken_at === null &&
          wanted.some(({ mission_id, name }) => mission_id === one.mission_id && name === one.name),
      )
      .sort((a, b) => (a.id < b.id ? -1 : 1))
  },
}

export const findSignal: Statement = {
  name: 'findSignal',
  marks: ['from signals where mission_id = $1 and idempotency_key = $2'],
  run: ({ session, params }) =>
    session
      .rows('signals')
      .filter((one) => one.mission_id === params[0] && one.idempotency_key === params[1])
      .map(({ id, request_hash, taken_by }) => ({ id, requestHash: request_hash, takenBy: taken_by })),
}

export const storeSignal: Statement = {
  name: 'storeSignal',
  marks: ['insert into signals'],
  run({ session, params }) {
    const [id, , mission_id, name, task_key, payload, idempotency_key, request_hash] = params as string[]
    session.put('signals', {
      id: id as string,
      mission_id: mission_id as string,
      name: name as string,
      task_key: task_key ?? null,
      payload: JSON.parse(payload as string),
      idempotency_key: idempotency_key ?? null,
      request_hash: request_hash as string,
      taken_by: null,
      taken_at: null,
    })
    return [{}]
  },
}

export const lockWaitingFor: Statement = {
  name: 'lockWaitingFor',
  marks: ['w.name as wait from waits w join tasks t'],
  async run(call) {
    const fits = predicate(between(call.text, 'on t.id = w.task_id where', 'order by w.created_at'))
    // A name is waited for once, so that the latest of a task is the one that may be open.
    const createdAt = new Map(call.session.rows('waits').map((wait) => [wait.task_id, wait]))
    const locked = await lockTasksWhere(
      call,
      false,
      (t) => fits(scopeOf(call, { t, w: createdAt.get(t.id) })),
      (a, b) =>
        (createdAt.get(a.id)?.created_at ?? 0) - (createdAt.get(b.id)?.created_at ?? 0) || (a.id < b.id ? -1 : 1),
      1,
    )
    return locked.map((task) => ({ ...task, wait: createdAt.get(task.id)?.name }))
  },
}

export const holdTasks: Statement = {
  name: 'holdTasks',
  marks: ['update tasks set held = true'],
  async run(call) {
    const locked = await lockTasksWhere(
      call,
      true,
      (task) => task.mission_id === call.params[0] && task.state === 'queued' && !task.held,
    )
    for (const task of locked) call.session.put('tasks', { ...task, held: true })
    return []
  },
}

export const letTasksGo: Statement = {
  name: 'letTasksGo',
  marks: ['update tasks set held = false'],
  async run(call) {
    const locked = await lockTasksWhere(call, true, (task) => task.mission_id === call.params[0] && task.held)
    for (const task of locked) call.session.put('tasks', { ...task, held: false })
    return [...new Set(locked.map((task) => task.queue))].map((queue) => ({ queue }))
  },
}

export const anyHeld: Statement = {
  name: 'letTasksGo, what is left',
  marks: ['select exists (select from tasks where mission_id = $1 and held) as left'],
  run: ({ session, params }) => [
    { left: session.rows('tasks').some((task) => task.mission_id === params[0] && task.held) },
  ],
}

export const hasStarted: Statement = {
  name: 'hasStarted',
  marks: ['select started_at is not null as started from missions where id = $1'],
  run: ({ session, params }) => [{ started: session.get('missions', params[0] as string)?.started_at != null }],
}
