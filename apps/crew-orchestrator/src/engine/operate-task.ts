import { setTimeout as sleep } from 'node:timers/promises'
import { inTransaction, writeAudit } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import type { TaskFacts } from '../domain/facts.ts'
import { openLedger } from '../domain/ledger.ts'
import { operate } from '../domain/operate.ts'
import type { TaskOperation } from '../domain/operate.ts'
import { resolveOpenLetters } from '../store/dead-letters.ts'
import { enter, lockFree, lockMissions } from '../store/load.ts'
import { findTask } from '../store/read-tasks.ts'
import type { Saved } from '../store/save-ledger.ts'
import { settle } from './settle.ts'
import { auditVia } from './via.ts'
import type { Via } from './via.ts'

export interface TaskOrder extends Via {
  tenantId: string
  actor: string
  taskId: string
  operation: TaskOperation
  reason: string | undefined
}

const PAST = { cancel: 'canceled', retry: 'retried', skip: 'skipped' } as const
const TRIES = 20
const BREATH_MS = 25

/** Steps in at one task, whatever it is doing. 409 says why that cannot be done as things are. */
export async function operateTask(db: Db, order: TaskOrder): Promise<Saved> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const saved = await tryOnce(db, order)
    if (saved !== undefined) return saved
    await sleep(BREATH_MS)
  }
  throw new AppError('unavailable', { detail: 'The task is being changed all the time.', retryAfterMs: 1000 })
}

/**
 * A task may be in the hands of a report, which waits for the mission that is locked here: it is taken only when it is free. Answers
 * undefined when it is not.
 */
async function tryOnce(
  db: Db,
  { tenantId, actor, taskId, operation, reason, via }: TaskOrder,
): Promise<Saved | undefined> {
  return await inTransaction(db, async (trx) => {
    const seen = await findTask(trx, tenantId, taskId)
    if (seen === undefined) throw new AppError('not_found')
    const ledger = openLedger()
    await lockMissions(trx, ledger, [seen.missionId])
    const rows = await lockFree(trx, taskId)
    if (rows.length === 0) return undefined
    const [task] = enter(ledger, rows) as [TaskFacts]
    const wasPaused = task.state === 'paused'
    const refused = operate(ledger, task, operation, reason ?? `${PAST[operation]} by a person`)
    if (refused !== undefined) throw new AppError('conflict', { detail: refused })
    if (wasPaused) await resolveOpenLetters(trx, taskId, operation === 'retry' ? 'replayed' : 'discarded', actor)
    const detail = {
      ...auditVia({ via }),
      missionId: task.missionId,
      key: task.key,
      ...(reason === undefined ? {} : { reason }),
    }
    await writeAudit(trx, [{ tenantId, actor, action: `task.${PAST[operation]}`, ref: taskId, detail }])
    return await settle(trx, ledger)
  })
}
