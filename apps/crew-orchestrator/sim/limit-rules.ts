/**
 * What may be begun: never more than the limit of a queue (L1) or of a concurrency key (L2), nothing of a paused queue (L3) or a paused
 * mission (L4). A claim may have seen what was said of a queue at any moment since it was sent.
 */
import type { Commit, Database } from './database/database.ts'
import type { AttemptRow, ControlRow, TaskRow } from './database/rows.ts'
import { must } from './rules.ts'
import { createVersions } from './versions.ts'

export interface LimitRules {
  remember(commit: Commit): void
  checkBegin(attempt: AttemptRow, task: TaskRow, begunAt: number): void
}

interface Said {
  control: ControlRow | undefined
  since: number
}

export function createLimitRules(database: () => Database): LimitRules {
  const controls = createVersions<Said>()
  const known = new Set<string>()
  const missions = createVersions<string>()
  /** When the claims of executing tasks were sent. */
  const begun = new Map<string, number>()

  const say = (queue: string, control: ControlRow | undefined): void => {
    const since = database().scheduler.now
    if (!known.has(queue)) controls.add(queue, { control: undefined, since: 0 }, 0)
    known.add(queue)
    controls.add(queue, { control, since }, since)
  }
  const executing = (isMeant: (task: TaskRow) => boolean): TaskRow[] =>
    [...database().tables.tasks.values()].filter((task) => task.state === 'executing' && isMeant(task))

  const checkQueue = ({ queue, key }: TaskRow, begunAt: number): void => {
    const seen = controls.from(queue, begunAt)
    if (seen.length === 0) return
    const isPaused = ({ control }: Said): boolean => control !== undefined && control.paused_at !== null
    must(!seen.every(isPaused), 'L3', `${key} was begun while ${queue} was paused`)
    const most = Math.max(...seen.map(({ control }) => control?.max_executing ?? Number.POSITIVE_INFINITY))
    // Those that were begun before it was said do not count: their claims had no limit to keep to.
    const since = seen[0]?.since ?? 0
    const used = executing((task) => task.queue === queue && (begun.get(task.id) ?? 0) >= since).length
    must(used <= most, 'L1', `${used} tasks of ${queue} execute, of ${most} that may`)
  }

  return {
    remember({ changes, removed, begunAt }) {
      for (const change of changes) {
        if (change.table === 'queue_controls') say(change.after.queue, change.after)
        else if (change.table === 'missions' && change.before?.state !== change.after.state)
          missions.add(change.after.id, change.after.state, database().scheduler.now)
        else if (change.table === 'attempts' && change.before === undefined) begun.set(change.after.task_id, begunAt)
      }
      for (const { table, before } of removed) if (table === 'queue_controls') say(before.queue, undefined)
    },
    checkBegin(attempt, task, begunAt) {
      checkQueue(task, begunAt)
      const { concurrency_key: key, concurrency_limit: limit } = task
      const used = key === null ? 0 : executing((one) => one.concurrency_key === key).length
      must(
        used <= (limit ?? 0) || key === null,
        'L2',
        `${used} tasks with the key ${key} execute, of ${limit} that may`,
      )
      const states = missions.from(task.mission_id, begunAt)
      const mayBegin = states.some((state) => state !== 'paused')
      must(mayBegin, 'L4', `attempt ${attempt.attempt} of ${task.key} was begun while its mission was paused`)
    },
  }
}
