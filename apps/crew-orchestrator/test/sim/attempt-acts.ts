import type { ClaimedTask } from '@hypercode/contracts'
import { resolveEffect } from '../../src/engine/effects.ts'
import { putEffect } from '../../src/engine/put-effect.ts'
import type { EffectWords } from '../../src/engine/put-effect.ts'
import { recordStep, reportProgress } from '../../src/store/journal.ts'
import type { FenceClaim } from '../../src/store/reports.ts'
import { pick, pickClaimed, settled, sorted } from './course.ts'
import type { Act, Course } from './course.ts'
import type { Agent, Side } from './sides.ts'

/** What running attempts write on their way, and what people say of effects that nobody knows. */
export const ATTEMPT_ACTS = {
  async step(course, dice) {
    const one = pickClaimed(course, dice)
    if (one === undefined) return 'nothing'
    const name = `step-${dice.at < 0.5 ? 0 : 1}`
    const written = await recordStep(course.side.db, one.fence, { name, response: dice.key, requestHash: dice.hash })
    return withoutOutbox(written)
  },
  async progress(course, dice) {
    const one = pickClaimed(course, dice)
    if (one === undefined) return 'nothing'
    const said = { ...one.fence, fraction: 0.5, message: dice.key }
    return withoutOutbox(await reportProgress(course.side.db, one.fence, said))
  },
  async effect(course, dice) {
    const isLater = dice.other < 0.6
    // What a later attempt finds of an earlier one is what the ledger is for.
    const one = pickClaimed(course, dice, (task) => !isLater || task.attempt > 1)
    if (one === undefined) return 'nothing'
    const { side } = course
    const [name, idempotent] = (dice.kind * 10) % 1 < 0.6 ? ['plain', false] : ['again', true]
    const state = dice.kind < 0.75 ? 'intent' : 'done'
    return await put(side, one.fence, name, { state, idempotent, requestHash: dice.hash, response: dice.key })
  },
  async resolve({ side, names }, { at, other }) {
    const rows = await side.rows('effects')
    const unknown = rows.filter((row) => row['state'] === 'unknown' && row['tenant_id'] === side.tenantId)
    const named = unknown.map((row) => ({ taskId: String(row['task_id']), name: String(row['name']) }))
    const order = pick(
      named.toSorted((a, b) => ((names.get(a.taskId) ?? '') < (names.get(b.taskId) ?? '') ? -1 : 1)),
      at,
    )
    if (order === undefined) return 'nothing'
    const answer = { done: other < 0.5, response: 'seen' }
    const { effect, saved } = await resolveEffect(side.db, { tenantId: side.tenantId, actor: 'p', ...order, answer })
    return { state: effect.state, by: effect.resolvedBy, queued: sorted(saved.queued) }
  },
} as const satisfies Record<string, Act>

/** What a handler does first: a later attempt then finds what an earlier one was cut off in. */
export const beginEffects = async (
  { side }: Course,
  tasks: readonly ClaimedTask[],
  { subject, incarnation }: Agent,
): Promise<unknown[]> =>
  Promise.all(
    tasks.map(async ({ taskId, attempt }) => {
      const fence = { tenantId: side.tenantId, subject, incarnation, taskId, attempt }
      const words = { state: 'intent', requestHash: 'aa' } as const
      return [
        await settled(put(side, fence, 'again', { ...words, idempotent: true })),
        await settled(put(side, fence, 'plain', { ...words, idempotent: false })),
      ]
    }),
  )

async function put(side: Side, fence: FenceClaim, name: string, words: EffectWords): Promise<unknown> {
  const { effect, created } = await putEffect({ urgentDb: side.db, after: () => undefined }, fence, name, words)
  return { ...effect, createdAt: 0, doneAt: effect.doneAt !== undefined, created }
}

const withoutOutbox = (written: object): object => ({ ...written, outbox: undefined })
