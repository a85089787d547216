/** What an action of an operation does to one target: the same as the route that has its name. */
import type { OperationAction } from '@hypercode/contracts'
import { writeAudit } from '@hypercode/db'
import type { TaskOperation } from '../domain/operate.ts'
import { isMarked } from '../store/operation-targets.ts'
import type { Saved } from '../store/save-ledger.ts'
import { orderAgain } from './again.ts'
import { cancelMission } from './cancel.ts'
import { discard, replay } from './dead-letters.ts'
import type { Engine } from './engine.ts'
import { operateTask } from './operate-task.ts'
import { pauseMission, resumeMission } from './pause.ts'
import type { PlanSource } from './plans.ts'

export interface ActOrder {
  tenantId: string
  actor: string
  /** `operation/<id>`: stands in the audit of everything that is done. */
  via: string
  reason: string | undefined
  correlationId: string
}

/** Does it to one target and answers whether that changed anything. Throws what the route would answer. */
export type Act = (order: ActOrder, id: string) => Promise<boolean>

export function createActs(engine: Engine, plans: PlanSource): Readonly<Record<OperationAction, Act>> {
  // Beside submits and reads, and out of the way of what agents report.
  const { db } = engine
  /** Of a mission that is as it should be already, nothing is told. */
  const changed = (saved: Saved): boolean => {
    engine.after(saved)
    return saved.told.length > 0
  }
  /** What answers without refusing has done it. */
  const done = (saved: Saved): true => {
    engine.after(saved)
    return true
  }
  const operate =
    (operation: TaskOperation): Act =>
    async (order, taskId) =>
      done(await operateTask(db, { ...order, taskId, operation }))

  const retry: Act = async ({ tenantId, actor, via, correlationId }, missionId) => {
    await engine.openMissions.admit(tenantId, 1)
    const idempotencyKey = `${via}/${missionId}`
    const again = { tenantId, actor, missionId, fork: undefined, idempotencyKey, correlationId, traceparent: null }
    const { id, replayed } = await engine.submit(await orderAgain(db, plans, again))
    // Who begins a mission and dies has not said so.
    if (!replayed || !(await isMarked(db, tenantId, missionId, via))) {
      const detail = { operation: via, missionId: id }
      await writeAudit(db, [{ tenantId, actor, action: 'mission.retried', ref: missionId, detail }])
    }
    return true
  }

  return {
    cancelMission: async (order, missionId) => changed(await cancelMission(db, { ...order, missionId })),
    pauseMission: async (order, missionId) => changed(await pauseMission(db, { ...order, missionId })),
    resumeMission: async (order, missionId) => changed(await resumeMission(db, { ...order, missionId })),
    retryMission: retry,
    cancelTask: operate('cancel'),
    retryTask: operate('retry'),
    skipTask: operate('skip'),
    replayDeadLetter: async (order, id) => done((await replay(db, { ...order, id })).saved),
    discardDeadLetter: async (order, id) => done((await discard(db, { ...order, id })).saved),
  }
}
