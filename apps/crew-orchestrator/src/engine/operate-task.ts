import { writeAudit } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { operate } from '../domain/operate.ts'
import type { TaskOperation } from '../domain/operate.ts'
import { resolveOpenLetters } from '../store/dead-letters.ts'
import { readGoOnFacts } from '../store/go-on-facts.ts'
import { findTask } from '../store/read-tasks.ts'
import type { Saved } from '../store/save-ledger.ts'
import { settle } from './settle.ts'
import { auditVia } from './via.ts'
import type { Via } from './via.ts'
import { withTask } from './with-task.ts'

export interface TaskOrder extends Via {
  tenantId: string
  actor: string
  taskId: string
  operation: TaskOperation
  reason: string | undefined
}

const PAST = { cancel: 'canceled', retry: 'retried', skip: 'skipped' } as const

/** Steps in at one task, whatever it is doing. 409 says why that cannot be done as things are. */
export async function operateTask(
  db: Db,
  { tenantId, actor, taskId, operation, reason, via }: TaskOrder,
): Promise<Saved> {
  const find = async (trx: Trx) => {
    const seen = await findTask(trx, tenantId, taskId)
    return seen && { taskId, missionId: seen.missionId }
  }
  return await withTask(db, find, async (trx, ledger, task) => {
    const wasPaused = task.state === 'paused'
    const facts = wasPaused && operation === 'retry' ? await readGoOnFacts(trx, ledger, task) : undefined
    const refused = operate(ledger, task, operation, reason ?? `${PAST[operation]} by a person`, facts)
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
