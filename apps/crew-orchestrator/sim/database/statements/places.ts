/** How many more tasks a queue or a concurrency key may have executing: the functions of the migrations that claims ask. */
import type { Session } from '../database.ts'
import { functionBody } from '../functions.ts'
import { predicate } from '../predicate.ts'
import { rankAt } from '../rows.ts'
import type { TaskRow } from '../rows.ts'
import { between, byId } from '../statement.ts'

/** `executing_in_queue`: null while another claim is at it. */
export function executingInQueue(session: Session, tenant: string, queue: string): number | null {
  const body = functionBody('executing_in_queue', ['tenant', 'wanted'])
  if (
    body.includes(
      `if not pg_try_advisory_xact_lock(hashtextextended(tenant || ' queue ' || wanted, 0)) then return null`,
    )
  )
    if (!session.tryLock('advisory', `queue ${queue}`)) return null
  const counts = predicate(between(body, 'into used from tasks t where', ';'))
  return session.rows('tasks').filter((t) => counts({ rows: { t }, params: [tenant, queue], now: session.now })).length
}

/** Its one row per task that may begin, or, without a task, per key that another claim is at. */
export type Ready = TaskRow | undefined

/** `keyed_ready`: the best queued tasks with a key, at most `most` keys of those that have a place left. */
export function keyedReady(
  session: Session,
  tenant: string,
  queues: readonly string[],
  skills: readonly string[],
  most: number,
): Ready[] {
  const body = functionBody('keyed_ready', ['tenant'])
  const isLocking = body.includes(
    `if not pg_try_advisory_xact_lock(hashtextextended(tenant || ' key ' || head.key, 0)) then`,
  )
  const counts = predicate(between(body, 'select count(*) into used from tasks t where', ';'))
  const used = (key: string): number =>
    session.rows('tasks').filter((t) => counts({ rows: { t, head: { key } }, params: [tenant], now: session.now }))
      .length
  const byKey = Map.groupBy(
    session
      .rows('tasks')
      .filter((task) => mayBegin(session, task, queues, skills))
      .sort(byRank),
    (task) => task.concurrency_key as string,
  )
  const ready: Ready[] = []
  let found = 0
  for (const [key, tasks] of byKey) {
    // Before the lock, a look; what counts is what is seen under it.
    const limit = tasks[0]?.concurrency_limit ?? 0
    if (used(key) >= limit) continue
    if (found >= most) break
    if (isLocking && !session.tryLock('advisory', `key ${key}`)) {
      ready.push(undefined)
      continue
    }
    const places = limit - used(key)
    ready.push(...tasks.slice(0, Math.max(0, Math.min(places, most))))
    found += 1
  }
  return ready
}

function mayBegin(session: Session, task: TaskRow, queues: readonly string[], skills: readonly string[]): boolean {
  if (task.state !== 'queued' || task.held || task.concurrency_key === null || !queues.includes(task.queue))
    return false
  const mission = session.get('missions', task.mission_id)
  const isOpen = mission?.cancel_requested_at === null && mission.state !== 'paused'
  return isOpen && task.requires.every((skill) => skills.includes(skill))
}

export const byRank = (a: TaskRow, b: TaskRow): number => rankAt(a) - rankAt(b) || byId(a, b)
