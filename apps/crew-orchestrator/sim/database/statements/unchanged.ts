/** The parts of `store/unchanged.ts`: whether what was decided without locks may be written. */
import { predicate } from '../predicate.ts'
import { between, byId, param, records, scopeOf } from '../statement.ts'
import type { Call } from '../statement.ts'

export const asksForUnchanged = (part: string): boolean => part.includes('exists (select from unchanged)')

/** True for a statement that does not ask. Locks tasks, then missions, each looked at anew when it is free. */
export async function readUnchanged(call: Call, parts: ReadonlyMap<string, string>): Promise<boolean> {
  const unchanged = parts.get('unchanged')
  if (unchanged === undefined) return true
  const { session, text } = call
  const held = between(text, 'held as materialized (', '), still as')
  const still = between(text, 'still as materialized (', '), unchanged as')
  const instanceOf = predicate(between(held, 'join agent_instances i on', 'join tasks t on'))
  const taskOf = predicate(between(held, 'join tasks t on', 'where'))
  const holds = predicate(between(held, ' where ', 'order by t.id'))
  const isStill = predicate(between(still, 'from held)) and', 'order by m.id'))
  const [instances, tasks] = [session.rows('agent_instances'), session.rows('tasks')]
  const joined = records<object>(call, 'r', held).flatMap((r) =>
    instances
      .filter((i) => instanceOf(scopeOf(call, { r, i })))
      .flatMap((i) => tasks.filter((t) => taskOf(scopeOf(call, { r, i, t }))).map(({ id }) => ({ r, i, id }))),
  )
  if (joined.length > 0) await session.breathe()
  const missionIds = new Set<string>()
  for (const { r, i, id } of joined.sort(byId)) {
    await session.lock('tasks', id)
    const t = session.get('tasks', id)
    if (t !== undefined && holds(scopeOf(call, { r, i, t }))) missionIds.add(t.mission_id)
  }
  let count = 0
  for (const id of [...missionIds].sort()) {
    await session.lock('missions', id)
    const m = session.get('missions', id)
    if (m !== undefined && isStill(scopeOf(call, { m }))) count += 1
  }
  const isUnchanged = count === param(call, /select count\(\*\) from still\) = \$(\d+)::int/)
  session.database.unseen[isUnchanged ? 'saved' : 'outdated'] += 1
  return isUnchanged
}
