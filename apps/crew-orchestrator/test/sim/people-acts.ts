import { decideApproval } from '../../src/engine/approvals.ts'
import { operateTask } from '../../src/engine/operate-task.ts'
import { limitQueue, pauseQueue, resumeQueue } from '../../src/engine/queues.ts'
import { PEOPLE, SKILLS } from '../../sim/crews.ts'
import { pick, sorted } from './course.ts'
import type { Act } from './course.ts'

/** What people say of queues, and of what waits for them. */
export const PEOPLE_ACTS = {
  async queue({ side }, { at, other, kind }) {
    const order = { tenantId: side.tenantId, queue: pick(SKILLS, at) as string, actor: 'p' }
    if (kind < 0.15) return (await pauseQueue(side.db, order)).queued
    if (kind < 0.5) return (await resumeQueue(side.db, order)).queued
    return (await limitQueue(side.db, order, pick([1, 2, null], other) ?? null)).queued
  },
  async decide({ side, names }, { at, other, kind, hash }) {
    const rows = (await side.rows('approvals')).filter((row) => row['tenant_id'] === side.tenantId)
    const open = rows.filter((row) => row['state'] === 'open' || kind < 0.1)
    const named = open.map((row) => ({ row, name: `${names.get(String(row['task_id']))} ${String(row['wait'])}` }))
    const one = pick(
      named.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      at,
    )
    if (one === undefined) return 'nothing'
    const verdict = kind < 0.7 ? 'approve' : kind < 0.85 ? 'edit' : 'reject'
    const { approval, saved } = await decideApproval(side.db, {
      tenantId: side.tenantId,
      id: String(one.row['id']),
      subject: pick(PEOPLE, other) as string,
      verdict,
      hash: hash === 'aa' ? String(one.row['hash']) : 'another',
      comment: verdict,
      data: { of: verdict },
    })
    const { state, round, decisions } = approval
    return { state, round, by: decisions.map((decision) => decision.subject), queued: sorted(saved.queued) }
  },
  async operate({ side, names }, { at, kind }) {
    const rows = (await side.rows('tasks')).filter((row) => row['tenant_id'] === side.tenantId)
    const paused = rows.filter((row) => row['state'] === 'paused')
    const named = paused.map(({ id }) => ({ taskId: String(id), name: names.get(String(id)) ?? '' }))
    const one = pick(
      named.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      at,
    )
    if (one === undefined) return 'nothing'
    const operation = kind < 0.8 ? 'retry' : 'skip'
    const order = { tenantId: side.tenantId, actor: 'p', taskId: one.taskId, operation, reason: undefined } as const
    return sorted((await operateTask(side.db, order)).queued)
  },
} as const satisfies Record<string, Act>
