import type { Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { Undoable } from '../domain/compensate.ts'
import type { MissionFacts, TaskFacts, TaskPolicy } from '../domain/facts.ts'
import { baseOf } from '../domain/keys.ts'
import type { Ledger } from '../domain/ledger.ts'
import type { Outputs } from '../domain/release.ts'

interface UndoableRow extends Undoable {
  mission_id: string
  policy: TaskPolicy
}

/**
 * The completed tasks of these missions that say how they are undone, in the order in which their ends were told. A forEach task is undone
 * by its elements, and a kept one by the mission that has done it.
 */
export async function readUndoable(
  trx: Trx,
  ledger: Ledger,
  missions: readonly MissionFacts[],
): Promise<Map<string, Undoable[]>> {
  const ids = missions.map(({ id }) => id)
  const found = await sql<UndoableRow>`
    select t.id, t.mission_id, t.key, t.priority, t.policy from tasks t
    join mission_events e on e.mission_id = t.mission_id and e.task_id = t.id and e.type = 'task.completed'
    where t.mission_id = any(${ids}::uuid[]) and t.state = 'completed' and t.policy ? 'compensate' and t.kept_from is null
      and not coalesce(t.template ? 'forEach', false) order by e.seq`.execute(trx)
  const undoable = new Map<string, Undoable[]>(ids.map((id) => [id, []]))
  for (const row of found.rows) undoable.get(row.mission_id)?.push(row)
  for (const { missionId, taskId, type } of ledger.events) {
    const task = type === 'task.completed' && taskId !== null ? ledger.tasks.get(taskId) : undefined
    if (task?.policy?.compensate !== undefined && task.template?.forEach === undefined)
      undoable.get(missionId)?.push(task)
  }
  return undoable
}

/** What these compensations may refer to: the input and the output of what they undo. */
export async function readCompensated(
  trx: Trx,
  ledger: Ledger,
  compensations: readonly TaskFacts[],
): Promise<Map<string, Outputs>> {
  if (compensations.length === 0) return new Map()
  const ids = compensations.map(({ parentId }) => parentId)
  const found = await sql<{ id: string; key: string; input: unknown; output: unknown }>`
    select t.id, t.key, t.input, t.output from tasks t where t.id = any(${ids}::uuid[])`.execute(trx)
  const byId = new Map(found.rows.map((row) => [row.id, row]))
  return new Map(
    compensations.map(({ id, parentId }) => {
      const row = byId.get(parentId ?? '')
      if (row === undefined) return [id, {}]
      // What has ended in this very transaction is not in the database yet.
      const output = ledger.tasks.get(row.id)?.output ?? row.output
      return [id, { [baseOf(row.key)]: { state: 'completed', input: row.input ?? null, output: output ?? null } }]
    }),
  )
}
