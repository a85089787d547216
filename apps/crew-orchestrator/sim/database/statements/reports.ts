/** The statements of `store/reports.ts`. */
import { predicate } from '../predicate.ts'
import { between, byId, records, scopeOf } from '../statement.ts'
import type { Statement } from '../statement.ts'

interface Claim {
  ord: number
  tenant_id: string
  subject: string
  incarnation: number
  task_id: string
  attempt: number
}

export const lockReported: Statement = {
  name: 'lockReported',
  marks: ['select r.ord, t.id', 'as is_held from'],
  async run(call) {
    const { session, text } = call
    const holds = predicate(between(text, 't.error,', 'as is_held from'))
    const joins = {
      i: predicate(between(text, 'join agent_instances i on', 'join tasks t on')),
      t: predicate(between(text, 'join tasks t on', 'join attempts a on')),
      a: predicate(between(text, 'join attempts a on', 'order by t.id')),
    }
    // Everything beside the task is what the snapshot of the statement holds, however long the lock takes.
    const joined = records<Claim>(call, 'r').flatMap((r) =>
      session
        .rows('agent_instances')
        .filter((i) => joins.i(scopeOf(call, { r, i })))
        .flatMap((i) =>
          session
            .rows('tasks')
            .filter((t) => joins.t(scopeOf(call, { r, i, t })))
            .flatMap((t) =>
              session
                .rows('attempts')
                .filter((a) => joins.a(scopeOf(call, { r, i, t, a })))
                .map(() => ({ r, i, id: t.id })),
            ),
        ),
    )
    if (joined.length > 0) await session.breathe()
    const tasks: object[] = []
    const missionIds = new Set<string>()
    for (const { r, i, id } of joined.sort(byId)) {
      await session.lock('tasks', id)
      const t = session.get('tasks', id)
      if (t === undefined) continue
      const isHeld = holds(scopeOf(call, { r, i, t }))
      tasks.push({ ...t, ord: r.ord, is_held: isHeld })
      if (isHeld) missionIds.add(t.mission_id)
    }
    const missions: object[] = []
    for (const id of [...missionIds].sort()) {
      await session.lock('missions', id)
      const mission = session.get('missions', id)
      if (mission !== undefined) missions.push(mission)
    }
    return [{ tasks, missions }]
  },
}

export const readOutcomes: Statement = {
  name: 'readOutcomes',
  marks: ['select a.task_id, a.attempt, a.outcome'],
  run: (call) =>
    records<{ task_id: string; attempt: number }>(call, 'r').flatMap((r) => {
      const attempt = call.session.get('attempts', `${r.task_id}/${r.attempt}`)
      return attempt === undefined || attempt.outcome === null ? [] : [attempt]
    }),
}
