import { inTransaction, writeAudit } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { countControls, lockControl, saveControl } from '../store/queues.ts'
import { NOTHING_SAVED } from '../store/save-ledger.ts'
import type { Saved } from '../store/save-ledger.ts'

/** Queues of a tenant that may be paused or limited at once. */
export const CONTROLS_MAX = 1000

export interface QueueOrder {
  tenantId: string
  queue: string
  actor: string
}

/** No task of the queue is begun until it is resumed. Pausing twice changes nothing. */
export const pauseQueue = (db: Db, order: QueueOrder): Promise<Saved> => control(db, order, 'paused', { paused: true })

export const resumeQueue = (db: Db, order: QueueOrder): Promise<Saved> =>
  control(db, order, 'resumed', { paused: false })

/** No claim brings the executing tasks of the queue above `maxExecuting`; null takes the limit away. */
export const limitQueue = (db: Db, order: QueueOrder, maxExecuting: number | null): Promise<Saved> =>
  control(db, order, 'limited', { maxExecuting })

async function control(
  db: Db,
  { tenantId, queue, actor }: QueueOrder,
  what: 'paused' | 'resumed' | 'limited',
  change: { paused?: boolean; maxExecuting?: number | null },
): Promise<Saved> {
  return await inTransaction(db, async (trx) => {
    const known = await lockControl(trx, tenantId, queue)
    const before = { pausedBy: known?.paused_by ?? null, maxExecuting: known?.max_executing ?? null }
    const { paused = before.pausedBy !== null, maxExecuting = before.maxExecuting } = change
    const pausedBy = paused ? (before.pausedBy ?? actor) : null
    if (pausedBy === before.pausedBy && maxExecuting === before.maxExecuting) return NOTHING_SAVED
    if (known === undefined && (await countControls(trx, tenantId)) >= CONTROLS_MAX) {
      const detail = `${CONTROLS_MAX} queues are paused or limited.`
      throw new AppError('conflict', { detail, fix: 'Resume queues that are not used, or take their limits away.' })
    }
    await saveControl(trx, tenantId, queue, { pausedBy, maxExecuting })
    const detail = what === 'limited' ? { maxExecuting } : {}
    await writeAudit(trx, [{ tenantId, actor, action: `queue.${what}`, ref: queue, detail }])
    // What may be claimed now waits for nobody's poll.
    return pausedBy === null ? { ...NOTHING_SAVED, queued: [{ tenantId, queue }] } : NOTHING_SAVED
  })
}
