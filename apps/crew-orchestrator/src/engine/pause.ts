import type { Budget } from '@hypercode/contracts'
import { inTransaction, writeAudit } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import type { QueueRef } from '@hypercode/events'
import { AppError } from '@hypercode/http'
import { pausedWith } from '../domain/around.ts'
import type { MissionAround } from '../domain/around.ts'
import type { MissionFacts } from '../domain/facts.ts'
import { openLedger, tell } from '../domain/ledger.ts'
import { assertMissionMove, isMissionTerminal } from '../domain/states.ts'
import { hasStarted, holdTasks, letTasksGo } from '../store/held-tasks.ts'
import { lockMissions } from '../store/load.ts'
import { NOTHING_SAVED, saveLedger } from '../store/save-ledger.ts'
import type { Saved } from '../store/save-ledger.ts'
import { raiseBudget, refuseWhileHeld } from './raise-budget.ts'
import { StillInHandsError, untilFree } from './until-free.ts'
import { auditVia } from './via.ts'
import type { Via } from './via.ts'

export interface PauseOrder extends Via {
  tenantId: string
  missionId: string
  actor: string
  /** The mission around it, with which it is paused or resumed; undefined for what somebody asks of this very mission. */
  around?: Pick<MissionAround, 'id' | 'crew'>
}

/** Nothing of the mission is begun until it is resumed; what runs comes to its end, and every deadline goes on. Twice changes nothing. */
export async function pauseMission(db: Db, order: PauseOrder): Promise<Saved> {
  return await change(db, order, 'paused', async (trx, mission) => {
    await holdTasks(trx, mission.id)
    return { to: 'paused', queued: [] }
  })
}

/**
 * Lets go on what was paused, with larger limits of its budget if the order says so; one whose budget is used up stays as it is. A held
 * task may be in the hands of a sweep that waits for the mission: then all of it is given up and tried again a moment later, since a task
 * that stayed held would never be claimed.
 */
export async function resumeMission(db: Db, order: ResumeOrder): Promise<Saved> {
  return await untilFree(
    async () =>
      await change(db, order, 'resumed', async (trx, mission) => {
        await refuseWhileHeld(trx, mission.id)
        const { queues, left } = await letTasksGo(trx, mission.id)
        if (left) throw new StillInHandsError()
        const queued = queues.map((queue) => ({ tenantId: order.tenantId, queue }))
        return { to: (await hasStarted(trx, mission.id)) ? 'running' : 'submitted', queued }
      }),
  )
}

export interface ResumeOrder extends PauseOrder {
  budget?: Budget | undefined
}

async function change(
  db: Db,
  { tenantId, missionId, actor, via, budget, around }: ResumeOrder,
  what: 'paused' | 'resumed',
  act: (trx: Trx, mission: MissionFacts) => Promise<{ to: MissionFacts['state']; queued: QueueRef[] }>,
): Promise<Saved> {
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    await lockMissions(trx, ledger, [missionId])
    const mission = ledger.missions.get(missionId)
    if (mission === undefined || mission.tenantId !== tenantId) throw new AppError('not_found')
    if (isMissionTerminal(mission.state)) throw new AppError('conflict', { detail: `the mission is ${mission.state}` })
    if (budget !== undefined) await raiseBudget(trx, { tenantId, missionId, actor, via }, budget)
    if ((mission.state === 'paused') === (what === 'paused')) return NOTHING_SAVED
    // It was canceled meanwhile: what undoes its work is held by nobody but a person.
    if (around !== undefined && mission.canceling) return NOTHING_SAVED
    const { to, queued } = await act(trx, mission)
    assertMissionMove(mission.state, to)
    mission.state = to
    const cause = around !== undefined && what === 'paused' ? pausedWith(around) : {}
    tell(ledger, mission, `mission.${what}`, null, { actor, ...cause, ...(budget === undefined ? {} : { budget }) })
    const detail = { ...auditVia({ via }), ...cause }
    await writeAudit(trx, [{ tenantId, actor, action: `mission.${what}`, ref: missionId, detail }])
    const saved = await saveLedger(trx, ledger)
    return { ...saved, queued }
  })
}
