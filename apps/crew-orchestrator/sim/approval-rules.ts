/**
 * What approvals must say: open exactly as long as their task waits for people (A3), decided once, by those who may, about what they were
 * shown (A1), by as many as it takes, and denied by silence unless they say otherwise (A2). No attempt is given out without the yes that its
 * task needs before it begins (A4).
 */
import type { Commit, Database } from './database/database.ts'
import type { ApprovalRow } from './database/rows.ts'
import { hashOf } from '../src/domain/approvals.ts'
import { must } from './rules.ts'

export interface ApprovalRules {
  check(commit: Commit): void
}

/** States of a task that must not begin; people may let a paused one ask again. */
const DENIED: ReadonlySet<string> = new Set(['rejected', 'paused'])

export function createApprovalRules(database: () => Database): ApprovalRules {
  /** By task. */
  const open = new Map<string, string>()

  const checkClosed = (approval: ApprovalRow, begunAt: number): void => {
    const { tables } = database()
    const { id, state, deadline_at, hash, on_timeout, quorum, round } = approval
    const about = `the approval ${id} is ${state}`
    const decisions = [...tables.approval_decisions.values()].filter(
      (one) => one.approval_id === id && one.round === round,
    )
    const isLate = deadline_at !== null && deadline_at <= begunAt
    if (state === 'expired') {
      must(isLate, 'A2', `${about} before its deadline`)
      const isThrough = wentOn(approval)
      must(
        isThrough === (on_timeout === 'approve'),
        'A2',
        `${about}, and its task ${isThrough ? 'went on' : 'was denied'}`,
      )
    } else if (state === 'rejected') {
      must(
        decisions.some((one) => one.verdict === 'reject'),
        'A2',
        `${about}, and nobody said so`,
      )
    } else if (state === 'approved') {
      const by = new Set(
        decisions.filter((one) => one.verdict !== 'reject' && one.hash === hash).map((one) => one.client),
      )
      must(by.size >= quorum, 'A2', `${about} by ${by.size} of ${quorum}`)
      must(!isLate, 'A2', `${about} after its deadline`)
    }
  }

  /** Whether what was asked may be done: the task, or what its handler waits for. */
  const wentOn = ({ task_id, wait }: ApprovalRow): boolean => {
    const { tables } = database()
    if (wait === null) return !DENIED.has(tables.tasks.get(task_id)?.state ?? '')
    const step = [...tables.steps.values()].find((one) => one.task_id === task_id && one.name.endsWith(wait))
    return (step?.response as { approved?: unknown } | undefined)?.approved === true
  }

  const checkBegun = (taskId: string): void => {
    const { tables } = database()
    const task = tables.tasks.get(taskId)
    if (task?.policy?.approval === undefined) return
    const asked = [...tables.approvals.values()].filter(
      (one) => one.task_id === taskId && one.wait === null && one.verifies === null,
    )
    const last = asked.toSorted((a, b) => b.created_at - a.created_at)[0]
    const isYes = last?.state === 'approved' || (last?.state === 'expired' && last.on_timeout === 'approve')
    must(isYes && last.hash === hashOf(task.input), 'A4', `${task.key} was begun, and ${last?.id} is ${last?.state}`)
  }

  return {
    check({ changes, begunAt }) {
      const { tables } = database()
      for (const change of changes) {
        if (change.table === 'approval_decisions') {
          const { approval_id, client, hash } = change.after
          const approval = tables.approvals.get(approval_id)
          must(change.before === undefined, 'A1', `${client} has decided about ${approval_id} before`)
          must(approval?.hash === hash, 'A1', `${client} decided about other data than ${approval_id} has`)
          const mayDecide = approval?.approvers.length === 0 || approval?.approvers.includes(client) === true
          must(mayDecide, 'A1', `${client} may not decide about ${approval_id}`)
        }
        if (change.table === 'attempts' && change.before === undefined) checkBegun(change.after.task_id)
        if (change.table !== 'approvals') continue
        const { before, after } = change
        must(
          before === undefined || before.state === 'open',
          'A2',
          `the approval ${after.id} was ${before?.state} and is ${after.state}`,
        )
        if (after.state === 'open') open.set(after.task_id, after.id)
        else if (open.get(after.task_id) === after.id) open.delete(after.task_id)
        if (after.state !== 'open') checkClosed(after, begunAt)
      }
      const tasks = changes.flatMap(({ table, after }) =>
        table === 'tasks' ? [after.id] : table === 'approvals' ? [after.task_id] : [],
      )
      for (const id of tasks) {
        const state = tables.tasks.get(id)?.state
        const isAsked = open.has(id)
        must(
          isAsked === (state === 'input_required'),
          'A3',
          `task ${id} is ${state}, and ${isAsked ? 'an' : 'no'} approval is open`,
        )
      }
    },
  }
}
