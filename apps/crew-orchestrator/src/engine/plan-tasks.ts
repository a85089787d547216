import type { PlannedTasks } from '@hypercode/contracts'
import { inTransaction } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import type { TaskFacts } from '../domain/facts.ts'
import { missionOf, openLedger } from '../domain/ledger.ts'
import { carryOut, planFault } from '../domain/plan-tasks.ts'
import type { Plan } from '../domain/plan-tasks.ts'
import { isBeingCanceled } from '../domain/states.ts'
import { enter } from '../store/load.ts'
import { findPlanned, readKnownPlans } from '../store/plans.ts'
import { lockReported } from '../store/reports.ts'
import type { FenceClaim } from '../store/reports.ts'
import { NOTHING_SAVED } from '../store/save-ledger.ts'
import type { Saved } from '../store/save-ledger.ts'
import { settle } from './settle.ts'

/**
 * Carries out the plan of a manager and ends its attempt, in one transaction. Answers undefined when the fence does not hold; a repeat of
 * what was taken is answered with the same tasks.
 */
export async function planTasks(
  db: Db,
  fence: FenceClaim,
  missionId: string,
  plan: Plan,
): Promise<{ answer: PlannedTasks; created: boolean; saved: Saved } | undefined> {
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    const [reported] = await lockReported(trx, ledger, [fence])
    if (reported?.task === undefined) {
      if (reported?.earlier?.outcome !== 'waiting') return undefined
      const taskIds = await findPlanned(trx, missionId, fence.taskId, plan.name)
      return taskIds.length === 0 ? undefined : { answer: { taskIds }, created: false, saved: NOTHING_SAVED }
    }
    if (reported.task.mission_id !== missionId) throw new AppError('not_found')
    const [manager] = enter(ledger, [reported.task]) as [TaskFacts]
    if (isBeingCanceled(missionOf(ledger, manager))) return undefined
    const keys = plan.tasks.map(({ key }) => key)
    const fault = planFault(ledger, manager, plan, await readKnownPlans(trx, manager, plan.name, keys))
    if (fault !== undefined) throw new AppError('unprocessable', { detail: fault })
    const tasks = carryOut(ledger, manager, plan)
    return { answer: { taskIds: tasks.map(({ id }) => id) }, created: true, saved: await settle(trx, ledger) }
  })
}
