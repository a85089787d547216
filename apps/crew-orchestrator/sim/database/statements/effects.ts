/** The statements of `store/effects.ts`. */
import { predicate } from '../predicate.ts'
import type { EffectRow, TaskRow } from '../rows.ts'
import { between, param, paramsAt, scopeOf } from '../statement.ts'
import type { Call, Statement } from '../statement.ts'
import { fencedWrite } from './fenced.ts'

export const storeIntent: Statement = {
  name: 'storeIntent',
  marks: ['written as ( insert into effects'],
  run: async (call) =>
    fencedWrite(call, ({ id, tenant_id, attempt }) => {
      const { session } = call
      const [name, idempotent, request_hash] = paramsAt(
        call,
        /select id, \$(\d+), tenant_id, attempt, 'intent', \$(\d+), \$(\d+) from held/,
      ) as [string, boolean, string | null]
      if (session.get('effects', `${id}/${name}`) !== undefined) return false
      session.put('effects', {
        ...{ task_id: id, name, tenant_id, attempt, idempotent, request_hash },
        state: 'intent',
        response: null,
        created_at: session.now,
        done_at: null,
        resolved_by: null,
      })
      return true
    }),
}

/** `update effects e set … from held where …`: of rows that the snapshot of the statement has. */
async function changeHeld(call: Call, change: (effect: EffectRow, held: TaskRow) => EffectRow): Promise<object[]> {
  const { session, text } = call
  const condition = predicate(between(text, 'from held where', 'returning e.task_id'))
  const seen = new Set(session.rows('effects').map((e) => `${e.task_id}/${e.name}`))
  return await fencedWrite(call, (held) => {
    const name = param<string>(call, /e\.task_id = held\.id and e\.name = \$(\d+)/)
    const e = session.get('effects', `${held.id}/${name}`)
    if (e === undefined || !seen.has(`${held.id}/${name}`) || !condition(scopeOf(call, { e, held }))) return false
    session.put('effects', change(e, held))
    return true
  })
}

export const takeOverIntent: Statement = {
  name: 'takeOverIntent',
  marks: ['update effects e set attempt = held.attempt from held'],
  run: async (call) => changeHeld(call, (e, { attempt }) => ({ ...e, attempt })),
}

export const storeDone: Statement = {
  name: 'storeDone',
  marks: ["update effects e set state = 'done'", 'from held'],
  run: async (call) =>
    changeHeld(call, (e) => {
      const response = param<string>(call, /response = \$(\d+)::jsonb/)
      return { ...e, state: 'done', response: JSON.parse(response), done_at: call.session.now }
    }),
}

export const findEffect: Statement = {
  name: 'findEffect',
  marks: ['e.resolved_by as "resolvedBy" from effects e where e.task_id = $1 and e.name = $2'],
  run({ session, params }) {
    const e = session.get('effects', params.join('/'))
    if (e === undefined) return []
    const { task_id: taskId, request_hash: requestHash, resolved_by: resolvedBy, created_at, done_at } = e
    const doneAt = done_at === null ? null : new Date(done_at)
    return [{ ...e, taskId, requestHash, resolvedBy, createdAt: new Date(created_at), doneAt }]
  },
}

/** The effect that a statement of a person, or for one, is about. Its task is locked. */
function named(call: Call): EffectRow | undefined {
  return call.session.get('effects', paramsAt(call, /task_id = \$(\d+) and name = \$(\d+)/).join('/'))
}

export const markUnknown: Statement = {
  name: 'markUnknown',
  marks: ["update effects set state = 'unknown' where task_id ="],
  run(call) {
    const e = named(call)
    if (e !== undefined && e.state !== 'done') call.session.put('effects', { ...e, state: 'unknown' })
    return []
  },
}

export const resolveAsDone: Statement = {
  name: 'resolveUnknown, as done',
  marks: ["update effects set state = 'done'"],
  run(call) {
    const e = named(call)
    const [response, resolved_by] = paramsAt(
      call,
      /response = \$(\d+)::jsonb, done_at = now\(\), resolved_by = \$(\d+)/,
    )
    if (e?.state !== 'unknown') return []
    const done = { state: 'done', done_at: call.session.now, response: JSON.parse(response as string) } as const
    call.session.put('effects', { ...e, ...done, resolved_by: resolved_by as string })
    return []
  },
}

export const forgetUnknown: Statement = {
  name: 'resolveUnknown, as not done',
  marks: ['delete from effects where task_id ='],
  run(call) {
    const e = named(call)
    if (e?.state === 'unknown') call.session.remove('effects', `${e.task_id}/${e.name}`)
    return []
  },
}

export const countUnknown: Statement = {
  name: 'resolveUnknown, what is left',
  marks: ["select count(*) as n from effects where task_id = $1 and state = 'unknown'"],
  run: ({ session, params }) => [
    { n: session.rows('effects').filter((e) => e.task_id === params[0] && e.state === 'unknown').length },
  ],
}
