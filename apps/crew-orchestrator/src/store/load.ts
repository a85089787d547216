/**
 * What the decisions need to see, locked in one order everywhere so that no two transactions can wait for each other:
 * first the tasks that a caller, an agent or a deadline points at (by id, or with SKIP LOCKED), then their missions (by id), then further
 * tasks of those missions. The last are either `blocked`, `waiting`, `input_required` or `verifying`, which nobody locks without the
 * mission, or are taken with SKIP LOCKED.
 */
import { recordset } from '@hypercode/db'
import type { Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { TaskFacts } from '../domain/facts.ts'
import type { Ledger } from '../domain/ledger.ts'
import type { Dependent } from '../domain/propagate.ts'
import type { Outputs } from '../domain/release.ts'
import { isTerminal } from '../domain/states.ts'
import { MISSION_FACTS, TASK_FACTS, toMissionFacts, toTaskFacts } from './task-facts.ts'
import type { MissionFactsRow, TaskFactsRow } from './task-facts.ts'

/** Enters rows into the ledger; a task that is there already keeps its newer facts. */
export function enter(ledger: Ledger, rows: readonly TaskFactsRow[]): TaskFacts[] {
  return rows.map((row) => {
    const known = ledger.tasks.get(row.id)
    if (known !== undefined) return known
    const task = toTaskFacts(row)
    ledger.tasks.set(task.id, task)
    return task
  })
}

/** Locks missions by id and enters them; with `skip locked` without those that are in other hands. */
export async function lockMissions(
  trx: Trx,
  ledger: Ledger,
  ids: Iterable<string>,
  others: 'wait' | 'skip locked' = 'wait',
): Promise<void> {
  const wanted = [...new Set(ids)].filter((id) => !ledger.missions.has(id))
  if (wanted.length === 0) return
  const found = await sql<MissionFactsRow>`
    select ${MISSION_FACTS} from missions m where m.id = any(${wanted}::uuid[]) order by m.id for no key update ${others === 'wait' ? sql`` : sql`skip locked`}`.execute(
    trx,
  )
  for (const row of found.rows) ledger.missions.set(row.id, toMissionFacts(row))
}

/** Locks tasks whose missions are locked. */
export async function lockTasks(trx: Trx, ids: readonly string[]): Promise<TaskFactsRow[]> {
  const found = await sql<TaskFactsRow>`
    select ${TASK_FACTS} from tasks t where t.id = any(${ids}::uuid[]) order by t.id for no key update of t`.execute(
    trx,
  )
  return found.rows
}

/** Locks a task in any state after its mission, if nobody else has it in hand. */
export async function lockFree(trx: Trx, id: string): Promise<TaskFactsRow[]> {
  const found = await sql<TaskFactsRow>`
    select ${TASK_FACTS} from tasks t where t.id = ${id} for no key update of t skip locked`.execute(trx)
  return found.rows
}

/** Reads the inputs of tasks that were planned with them, for those decisions that look at them. */
export async function readInputs(trx: Trx, tasks: readonly TaskFacts[]): Promise<void> {
  const wanted = new Map(tasks.filter((task) => task.input === undefined).map((task) => [task.id, task]))
  if (wanted.size === 0) return
  const found = await sql<{ id: string; input: unknown }>`
    select t.id, t.input from tasks t where t.id = any(${[...wanted.keys()]}::uuid[])`.execute(trx)
  for (const { id, input } of found.rows) (wanted.get(id) as TaskFacts).input = input
}

/** The tasks that wait for one of `ended`, locked, each with those of its dependencies that are among them. */
export async function lockDependents(trx: Trx, ledger: Ledger, ended: readonly TaskFacts[]): Promise<Dependent[]> {
  const byId = new Map(ended.map((task) => [task.id, task]))
  const found = await sql<TaskFactsRow & { depends_on: string }>`
    select ${TASK_FACTS}, d.depends_on from task_dependencies d join tasks t on t.id = d.task_id
    where d.depends_on = any(${[...byId.keys()]}::uuid[]) and t.state in ('blocked', 'waiting') order by t.id for no key update of t`.execute(
    trx,
  )
  const dependents = new Map<string, { task: TaskFacts; ended: TaskFacts[] }>()
  for (const row of found.rows) {
    const [task] = enter(ledger, [row]) as [TaskFacts]
    const dependent = dependents.get(task.id) ?? { task, ended: [] }
    dependent.ended.push(byId.get(row.depends_on) as TaskFacts)
    dependents.set(task.id, dependent)
  }
  return [...dependents.values()]
}

/** The task waits for a mission of its own. That is canceled with this one, undoes what it has done, and then ends its task. */
export const HAS_OPEN_CREW = sql.raw(
  `(t.state = 'waiting' and exists (select from missions c where c.parent_task_id = t.id and c.ended_at is null))`,
)

/**
 * What still waits in these missions, locked. A task in the hands of a claim or a sweep is skipped: it will meet the mission's mark when
 * that has committed, or be found by the next turn of the cancel sweep.
 */
export async function lockWaiting(trx: Trx, ledger: Ledger, missionIds: readonly string[]): Promise<TaskFacts[]> {
  const found = await sql<TaskFactsRow>`
    select ${TASK_FACTS} from tasks t where t.mission_id = any(${missionIds}::uuid[])
      and t.state in ('blocked', 'scheduled', 'queued', 'waiting', 'input_required', 'verifying', 'paused') and not ${HAS_OPEN_CREW}
    order by t.id for no key update skip locked`.execute(trx)
  return enter(ledger, found.rows)
}

/** Outputs that the templates of these tasks read, by mission. What ended in this very transaction is at hand: a chain reads nothing. */
export async function readOutputs(
  trx: Trx,
  ledger: Ledger,
  tasks: readonly TaskFacts[],
): Promise<Map<string, Outputs>> {
  const outputs = new Map<string, Record<string, { output: unknown; state: string }>>()
  const put = (missionId: string, key: string, output: unknown, state: string): void => {
    const ofMission = outputs.get(missionId) ?? {}
    ofMission[key] = { output: output ?? null, state }
    outputs.set(missionId, ofMission)
  }
  const ended = new Map(
    [...ledger.changed]
      .filter((task) => isTerminal(task.state))
      .map((task) => [`${task.missionId} ${task.key}`, task] as const),
  )
  const wanted = tasks.flatMap(({ missionId, template }) =>
    (template?.reads ?? []).flatMap((key) => {
      const task = ended.get(`${missionId} ${key}`)
      if (task === undefined) return [{ mission_id: missionId, key }]
      put(missionId, key, task.output, task.state)
      return []
    }),
  )
  if (wanted.length === 0) return outputs
  const found = await sql<{ mission_id: string; key: string; output: unknown; state: string }>`
    select t.mission_id, t.key, t.output, t.state from ${recordset(wanted, 'w', 'mission_id uuid, key text')} join tasks t using (mission_id, key)`.execute(
    trx,
  )
  for (const row of found.rows) put(row.mission_id, row.key, row.output, row.state)
  return outputs
}

/** The elements of forEach tasks, in order, with their outputs. */
export async function readElements(
  trx: Trx,
  ledger: Ledger,
  parents: readonly TaskFacts[],
): Promise<Map<string, Pick<TaskFacts, 'key' | 'state' | 'output'>[]>> {
  const elements = new Map<string, Pick<TaskFacts, 'key' | 'state' | 'output'>[]>()
  if (parents.length === 0) return elements
  const rows = parents.map((task) => ({ mission_id: task.missionId, parent_id: task.id }))
  const found = await sql<{ id: string; parent_id: string; key: string; state: TaskFacts['state']; output: unknown }>`
    select t.id, t.parent_id, t.key, t.state, t.output from ${recordset(rows, 'p', 'mission_id uuid, parent_id uuid')}
    join tasks t on t.mission_id = p.mission_id and t.parent_id = p.parent_id order by t.id`.execute(trx)
  for (const row of found.rows) {
    const now = ledger.tasks.get(row.id)
    const element = now !== undefined && ledger.changed.has(now) ? now : row
    const ofParent = elements.get(row.parent_id)
    if (ofParent === undefined) elements.set(row.parent_id, [element])
    else ofParent.push(element)
  }
  return elements
}

/** Outputs of the leaf tasks of missions that are about to end, by mission and key. */
export async function readLeafOutputs(
  trx: Trx,
  ledger: Ledger,
  missionIds: readonly string[],
): Promise<Map<string, Record<string, unknown>>> {
  const outputs = new Map<string, Record<string, unknown>>(missionIds.map((id) => [id, {}]))
  const put = (task: { mission_id: string; key: string; output: unknown }): void => {
    ;(outputs.get(task.mission_id) as Record<string, unknown>)[task.key] = task.output ?? null
  }
  // A mission of one task needs no query: that task has just ended here.
  const several = missionIds.filter((id) => (ledger.missions.get(id)?.totalTasks ?? 0) > 1)
  if (several.length > 0) {
    const found = await sql<{ mission_id: string; key: string; output: unknown }>`
      select t.mission_id, t.key, t.output from tasks t where t.mission_id = any(${several}::uuid[]) and t.leaf and t.state = 'completed'`.execute(
      trx,
    )
    for (const row of found.rows) put(row)
  }
  for (const task of ledger.changed) {
    if (task.leaf && task.state === 'completed' && outputs.has(task.missionId))
      put({ mission_id: task.missionId, key: task.key, output: task.output })
  }
  return outputs
}
