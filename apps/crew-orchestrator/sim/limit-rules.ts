/**
 * What may be begun: never more than the limit of a queue (L1) or of a concurrency key (L2), nothing of a paused queue (L3) or a paused
 * mission (L4), no more of what one process gives than the instance has slots (L5), nothing, as it is queued, before what stood in its
 * queue already (L6), and nothing for a claim that holds other tasks (L7). A claim may have seen what was said of a queue at any moment since it was sent.
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
  /** When the claims of executing tasks were sent, and by which process. */
  const begun = new Map<string, { at: number; by: string; committedAt: number }>()
  /** Since when tasks are queued, and free to be claimed. */
  const queuedSince = new Map<string, number>()
  /** Tasks and missions that the last commit has queued, and paused. */
  const queuedNow = new Set<string>()
  const pausedNow = new Set<string>()

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
    const used = executing((task) => task.queue === queue && (begun.get(task.id)?.at ?? 0) >= since).length
    must(used <= most, 'L1', `${used} tasks of ${queue} execute, of ${most} that may`)
  }

  const checkSlots = ({ agent_instance_id: id }: AttemptRow): void => {
    const instance = database().tables.agent_instances.get(id)
    const held = executing((task) => task.lease_owner === id)
    for (const [by, tasks] of Map.groupBy(held, (task) => begun.get(task.id)?.by))
      must(
        tasks.length <= (instance?.slots ?? 0),
        'L5',
        `${by} gave ${tasks.length} tasks to ${instance?.subject}, which has ${instance?.slots} slots`,
      )
  }

  const checkClaim = ({ claim_id }: AttemptRow, begunAt: number): void => {
    const before = executing((task) => task.claim_id === claim_id && (begun.get(task.id)?.committedAt ?? 0) < begunAt)
    must(before.length === 0, 'L7', `the claim ${claim_id} was given more than ${before.map(({ key }) => key).join()}`)
  }

  const checkTurn = ({ id, key, queue }: TaskRow, begunAt: number): void => {
    if (!queuedNow.has(id)) return
    const before = [...queuedSince].find(
      ([other, since]) => since < begunAt && database().tables.tasks.get(other)?.queue === queue,
    )
    must(before === undefined, 'L6', `${key} was begun before ${before?.[0]}, which stood in ${queue} already`)
  }

  const rememberTask = (before: TaskRow | undefined, after: TaskRow): void => {
    const isFree = (task: TaskRow | undefined): boolean =>
      task?.state === 'queued' && !task.held && task.concurrency_key === null
    if (isFree(after) && !isFree(before)) queuedSince.set(after.id, database().scheduler.now)
    else if (!isFree(after)) queuedSince.delete(after.id)
    if (after.state === 'executing' && before?.state !== 'executing' && before?.state !== 'queued')
      queuedNow.add(after.id)
  }

  return {
    remember({ changes, removed, begunAt, by }) {
      queuedNow.clear()
      pausedNow.clear()
      for (const change of changes) {
        if (change.table === 'tasks') rememberTask(change.before, change.after)
        if (change.table === 'missions' && change.before?.state !== 'paused' && change.after.state === 'paused')
          pausedNow.add(change.after.id)
        if (change.table === 'queue_controls') say(change.after.queue, change.after)
        else if (change.table === 'missions' && change.before?.state !== change.after.state)
          missions.add(change.after.id, change.after.state, database().scheduler.now)
        else if (change.table === 'attempts' && change.before === undefined)
          begun.set(change.after.task_id, { at: begunAt, by, committedAt: database().scheduler.now })
      }
      for (const { table, before } of removed) if (table === 'queue_controls') say(before.queue, undefined)
    },
    checkBegin(attempt, task, begunAt) {
      checkQueue(task, begunAt)
      checkSlots(attempt)
      checkClaim(attempt, begunAt)
      checkTurn(task, begunAt)
      const { concurrency_key: key, concurrency_limit: limit } = task
      const used = key === null ? 0 : executing((one) => one.concurrency_key === key).length
      must(
        used <= (limit ?? 0) || key === null,
        'L2',
        `${used} tasks with the key ${key} execute, of ${limit} that may`,
      )
      const states = missions.from(task.mission_id, begunAt)
      const mayBegin = states.some((state) => state !== 'paused') && !pausedNow.has(task.mission_id)
      must(mayBegin, 'L4', `attempt ${attempt.attempt} of ${task.key} was begun while its mission was paused`)
    },
  }
}
