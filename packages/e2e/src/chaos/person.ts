import { sql } from 'kysely'
import type { SinkRecord } from '../checker/effects.ts'
import { readJsonLines } from '../checker/json-lines.ts'
import type { Rig } from './rig.ts'

interface Unknown {
  taskId: string
  name: string
}

/** By then whoever was frozen in the middle of an effect has done it. */
const OVER_S = 5

/**
 * What an operator does when a storm is over: says of each unknown effect whether it has happened, by what the sink has on its disk, so that
 * its task goes on. Answers how many were resolved.
 */
export async function resolveUnknownEffects(rig: Rig): Promise<number> {
  const { rows } = await sql<Unknown>`
    select e.task_id as "taskId", e.name from effects e join tasks t on t.id = e.task_id and t.state = 'paused'
    where e.state = 'unknown' and not exists (
      select from attempts a where a.task_id = e.task_id and a.ended_at > now() - make_interval(secs => ${OVER_S}))`.execute(
    rig.database.db,
  )
  if (rows.length === 0) return 0
  const happened = new Set(readJsonLines<SinkRecord>(rig.files.sink).map(({ taskId, effect }) => `${taskId}:${effect}`))
  let resolved = 0
  for (const { taskId, name } of rows) {
    if (await rig.client.resolve(taskId, name, happened.has(`${taskId}:${name}`))) resolved += 1
  }
  return resolved
}
