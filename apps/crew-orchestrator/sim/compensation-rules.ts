/**
 * U1 A mission that ended failed or canceled has undone every completed task that says how, once; one that is completed has undone nothing.
 * U2 What was completed later is undone before: a compensation begins after the one of what was completed after it has ended.
 * U3 No cancel of the mission ends a compensation: one that is canceled was given back as that by its agent.
 */
import type { Database } from './database/database.ts'
import type { MissionRow, TaskRow } from './database/rows.ts'
import { must } from './rules.ts'

export function checkUndone({ tables }: Database, mission: MissionRow, tasks: readonly TaskRow[]): void {
  if (mission.ended_at === null) return
  const isUndoable = ({ state, policy, template }: TaskRow): boolean =>
    state === 'completed' && policy?.compensate !== undefined && template?.forEach === undefined
  const completedAt = new Map<string, number>()
  for (const event of tables.mission_events.values())
    if (event.mission_id === mission.id && event.type === 'task.completed' && event.task_id !== null)
      completedAt.set(event.task_id, event.seq)
  const seqOf = ({ id }: TaskRow): number => completedAt.get(id) ?? 0
  const wanted = mission.state === 'completed' ? [] : tasks.filter(isUndoable).sort((a, b) => seqOf(b) - seqOf(a))
  const undoing = tasks.filter(({ policy }) => policy?.compensates !== undefined)
  const ofEach = wanted.map(({ id }) => undoing.filter(({ parent_id }) => parent_id === id))
  must(
    ofEach.every(({ length }) => length === 1) && undoing.length === wanted.length,
    'U1',
    `mission ${mission.state} has undone ${undoing.map(({ key }) => key).join()} of ${wanted.map(({ key }) => key).join()}`,
  )
  let endedAt = 0
  for (const { id, key, state, attempt, ended_at } of ofEach.flat()) {
    must(state !== 'canceled' || attempt > 0, 'U3', `${key} was canceled with its mission`)
    const begunAt = tables.attempts.get(`${id}/1`)?.started_at ?? Number.POSITIVE_INFINITY
    must(begunAt >= endedAt, 'U2', `${key} began before the one before it had ended`)
    endedAt = ended_at ?? Number.POSITIVE_INFINITY
  }
}
