/**
 * What must be true after every commit. The terminal states stand here by name and the ends of attempts are counted anew, so that a fault
 * in the tables of the core cannot hide itself.
 */
import { isDeepStrictEqual } from 'node:util'
import type { ClaimedTask } from '@hypercode/contracts'
import { createLimitRules } from './limit-rules.ts'
import { createApprovalRules } from './approval-rules.ts'
import { checkUndone } from './compensation-rules.ts'
import { checkEffect } from './effect-rules.ts'
import { checkBudget, checkNeeds, checkResult, checkTaskChange, must } from './rules.ts'
import type { Change, Commit, Database } from './database/database.ts'
import type { AttemptRow, InstanceRow, TaskRow } from './database/rows.ts'
import { createToldRules } from './told-rules.ts'
import { checkVerifications } from './verification-rules.ts'
import { createVersions } from './versions.ts'

/** Who reported what; learned when the report is sent. */
export interface Author {
  taskId: string
  attempt: number
  instanceId: string
  incarnation: number
}

export interface Checker {
  /** By the mark that an agent leaves in its output or error. */
  readonly authors: Map<string, Author>
  /** When the cancel of a mission was acknowledged. */
  readonly cancelAcked: Map<string, number>
  check(commit: Commit): void
  /** What a process was given is what is stored, in its hands. */
  checkGiven(task: ClaimedTask, holder: Pick<Author, 'instanceId' | 'incarnation'>): void
  /** What an attempt was told was taken: its fence held at some moment since it was sent. */
  checkWrite(author: Author, sentAt: number, what: string): void
}

export function createChecker(database: () => Database, leaseMs: () => number): Checker {
  const told = createToldRules()
  const tasksOf = new Map<string, Set<string>>()
  const attemptsOf = new Map<string, number>()
  const instances = createVersions<InstanceRow>()
  const endedAt = new Map<string, number>()
  const limits = createLimitRules(database)
  const approvals = createApprovalRules(database)
  const authors = new Map<string, Author>()
  const cancelAcked = new Map<string, number>()

  const remember = (change: Change): void => {
    if (change.table === 'agent_instances') {
      instances.add(change.after.id, change.after, database().scheduler.now)
      const { before, after } = change
      must(
        before === undefined || after.incarnation >= before.incarnation,
        'R2',
        `incarnation of ${after.subject} went back`,
      )
    } else if (change.table === 'attempts') {
      const { task_id, attempt, ended_at } = change.after
      attemptsOf.set(task_id, Math.max(attemptsOf.get(task_id) ?? 0, attempt))
      if (ended_at !== null && change.before?.ended_at == null)
        endedAt.set(`${task_id}/${attempt}`, database().scheduler.now)
    } else if (change.table === 'tasks') {
      const ids = tasksOf.get(change.after.mission_id) ?? new Set()
      tasksOf.set(change.after.mission_id, ids.add(change.after.id))
    }
  }

  /** What a single change says by itself. */
  const checkChange = (change: Change, begunAt: number, leases: ReadonlyMap<string, TaskRow>): void => {
    if (change.table === 'tasks' && change.before !== undefined) checkTaskChange(change.before, change.after, begunAt)
    if (change.table === 'waits' && change.after.kind === 'timer' && change.after.fired_at !== null)
      must(change.after.fired_at >= (change.after.fire_at ?? 0), 'O17', `timer ${change.after.name} was early`)
    if (change.table === 'waits')
      must(
        change.before === undefined || change.before.fired_at === null,
        'W2',
        `the wait ${change.after.name} of ${change.after.task_id} is over twice`,
      )
    if (change.table === 'effects') checkEffect(change, database().tables.tasks.get(change.after.task_id))
    if (change.table !== 'attempts') return
    const { before, after } = change
    if (before === undefined) checkBegin(after, begunAt)
    else {
      // What was delivered has passed.
      if (before.outcome === 'delivered' && after.outcome === 'completed') return
      must(before.ended_at === null, 'O3', `attempt ${after.attempt} of ${after.task_id} ended twice`)
      checkEnd(after, begunAt)
      const task = before.ended_at === null ? leases.get(after.task_id) : undefined
      if (task !== undefined && after.outcome === 'lease_lost')
        must((task.lease_expires_at ?? 0) <= begunAt, 'R4', `the lease of ${task.key} was ended before its time`)
    }
  }

  const checkBegin = (attempt: AttemptRow, begunAt: number): void => {
    const task = database().tables.tasks.get(attempt.task_id) as TaskRow
    limits.checkBegin(attempt, task, begunAt)
    const acked = cancelAcked.get(task.mission_id)
    must(
      acked === undefined || attempt.started_at <= acked || task.policy?.compensates !== undefined,
      'O13',
      `attempt of ${task.key} after its cancel was acknowledged`,
    )
    // The statement judged by its snapshot: some version of the instance from then on must allow it.
    const seen = instances.from(attempt.agent_instance_id, begunAt)
    const mayWork = (row: InstanceRow): boolean =>
      row.incarnation === attempt.incarnation && row.lifecycle === 'ready' && (row.lease_expires_at ?? 0) > begunAt
    must(
      seen.some(mayWork),
      'R6',
      `attempt ${attempt.attempt} of ${task.key} was given to an instance that may not work`,
    )
    // A hand-over counts from its own statement, behind others of its transaction.
    const expiresAt = task.lease_expires_at ?? 0
    must(
      expiresAt >= begunAt + leaseMs() && expiresAt <= attempt.started_at + leaseMs(),
      'R4',
      `the lease of ${task.key} is not that of the database's clock`,
    )
    const skills = seen[0]?.skills ?? []
    must(
      [task.queue, ...task.requires].every((skill) => skills.includes(skill)),
      'R7',
      `${task.key} needs other skills`,
    )
  }

  const checkEnd = (attempt: AttemptRow, begunAt: number): void => {
    const author = authors.get(attempt.output_hash ?? attempt.error?.message ?? '')
    if (author === undefined) return
    const isOwn =
      author.taskId === attempt.task_id &&
      author.attempt === attempt.attempt &&
      author.instanceId === attempt.agent_instance_id &&
      author.incarnation === attempt.incarnation
    must(
      isOwn,
      'O4',
      `attempt ${attempt.attempt} of ${attempt.task_id} was ended by a report about attempt ${author.attempt} of another holder`,
    )
    const isRegistered = instances
      .from(attempt.agent_instance_id, begunAt)
      .some((row) => row.incarnation === author.incarnation)
    must(
      isRegistered,
      'R6',
      `attempt ${attempt.attempt} of ${attempt.task_id} was ended by an incarnation that was replaced`,
    )
  }

  const attempts = (task: TaskRow): AttemptRow[] =>
    Array.from({ length: attemptsOf.get(task.id) ?? 0 }, (_, index) => {
      const row = database().tables.attempts.get(`${task.id}/${index + 1}`)
      must(row !== undefined, 'O5', `${task.key} has no attempt ${index + 1}`)
      return row as AttemptRow
    })

  const checkTask = (task: TaskRow): void => {
    const list = attempts(task)
    must(task.attempt === list.length, 'O5', `${task.key} is at attempt ${task.attempt} of ${list.length}`)
    const open = list.filter((one) => one.ended_at === null)
    must(
      open.length === (task.state === 'executing' ? 1 : 0),
      'O6',
      `${task.key} is ${task.state} with ${open.length} open attempts`,
    )
    const [current] = open
    if (current !== undefined) {
      const fits =
        current.attempt === task.attempt &&
        current.agent_instance_id === task.lease_owner &&
        current.claim_id === task.claim_id
      must(fits, 'O6', `the open attempt of ${task.key} is not that of its lease`)
    }
    const successes = list.filter((one) => one.outcome === 'completed')
    must(successes.length <= 1, 'O3', `${task.key} has ${successes.length} successes`)
    const [success] = successes
    if (success !== undefined)
      must(
        success.attempt === task.attempt && task.state === 'completed',
        'O4',
        `${task.key} is ${task.state} after its success`,
      )
    else must(task.state !== 'completed' || list.length === 0, 'O4', `${task.key} is completed without a success`)
    list.forEach((one, index) => {
      const before = list[index - 1]
      must(
        before === undefined || (before.ended_at ?? Number.POSITIVE_INFINITY) <= one.started_at,
        'O7',
        `attempts of ${task.key} overlap`,
      )
    })
    checkBudget(task, list)
    told.checkTask(task)
  }

  const checkMission = (id: string): void => {
    const { tables } = database()
    const mission = tables.missions.get(id)
    if (mission === undefined) return
    const tasks = Array.from(tasksOf.get(id) ?? [], (taskId) => tables.tasks.get(taskId) as TaskRow)
    for (const task of tasks) checkTask(task)
    const needs = new Map<string, TaskRow[]>()
    for (const edge of tables.task_dependencies.values()) {
      const parent = tables.tasks.get(edge.depends_on)
      if (parent?.mission_id !== id) continue
      needs.set(edge.task_id, [...(needs.get(edge.task_id) ?? []), parent])
    }
    for (const task of tasks) checkNeeds(task, needs.get(task.id) ?? [], tables.attempts.get(`${task.id}/1`))
    const open = tasks.filter((task) => task.ended_at === null).length
    must(
      mission.open_tasks === open && mission.total_tasks === tasks.length,
      'O11',
      `${mission.open_tasks} open tasks are counted, ${open} are`,
    )
    checkResult(mission, tasks)
    checkUndone(database(), mission, tasks)
    told.checkMission(mission)
    for (const task of tasks) must(task.tenant_id === mission.tenant_id, 'O20', `${task.key} is of another tenant`)
  }

  return {
    authors,
    cancelAcked,
    checkWrite({ taskId, attempt, instanceId, incarnation }, sentAt, what) {
      const row = database().tables.attempts.get(`${taskId}/${attempt}`)
      const isOwn = row?.agent_instance_id === instanceId && row.incarnation === incarnation
      const wasOpen = (endedAt.get(`${taskId}/${attempt}`) ?? Number.POSITIVE_INFINITY) >= sentAt
      const wasRegistered = instances.from(instanceId, sentAt).some((one) => one.incarnation === incarnation)
      must(isOwn && wasOpen, 'E3', `attempt ${attempt} of ${taskId} had ended, and it ${what}`)
      must(wasRegistered, 'E3', `incarnation ${incarnation} of ${instanceId} was replaced, and it ${what}`)
    },
    checkGiven({ taskId, attempt, ...given }, { instanceId, incarnation }) {
      const { tables } = database()
      const row = tables.attempts.get(`${taskId}/${attempt}`)
      const isOwn = row?.agent_instance_id === instanceId && row.incarnation === incarnation
      must(isOwn, 'R8', `${instanceId} was given attempt ${attempt} of ${taskId}, which it does not hold`)
      const task = tables.tasks.get(taskId)
      if (task?.state !== 'executing' || task.attempt !== attempt) return
      const correlationId = tables.missions.get(task.mission_id)?.correlation_id
      const said = [given.missionId, given.key, given.skill, given.input, given.maxAttempts, given.correlationId]
      const stored = [task.mission_id, task.key, task.queue, task.input, task.max_attempts, correlationId]
      must(isDeepStrictEqual(said, stored), 'R8', `attempt ${attempt} of ${taskId} was given out as another task`)
    },
    check(commit) {
      const { changes, begunAt } = commit
      for (const change of changes) remember(change)
      limits.remember(commit)
      const events = changes.flatMap((change) => (change.table === 'mission_events' ? [change.after] : []))
      for (const event of events.sort((a, b) => a.seq - b.seq)) told.hear(event)
      const leases = new Map(
        changes.flatMap(({ table, before }) =>
          table === 'tasks' && before?.state === 'executing' ? [[before.id, before]] : [],
        ),
      )
      for (const change of changes) checkChange(change, begunAt, leases)
      const touched = new Set<string>()
      for (const { table, after } of changes) {
        if (table === 'tasks') touched.add(after.mission_id)
        else if (table === 'missions') touched.add(after.id)
      }
      for (const id of touched) checkMission(id)
      approvals.check(commit)
      checkVerifications(database(), commit)
    },
  }
}
