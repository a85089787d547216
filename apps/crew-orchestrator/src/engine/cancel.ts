import { inTransaction, writeAudit } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { openLedger, tell } from '../domain/ledger.ts'
import type { Ledger } from '../domain/ledger.ts'
import { cancelWaiting } from '../domain/propagate.ts'
import { isBeingCanceled, isMissionTerminal } from '../domain/states.ts'
import { lockMissions, lockWaiting } from '../store/load.ts'
import { NOTHING_SAVED } from '../store/save-ledger.ts'
import type { Saved } from '../store/save-ledger.ts'
import { settle } from './settle.ts'
import { auditVia } from './via.ts'
import type { Via } from './via.ts'

export interface CancelOrder extends Via {
  tenantId: string
  missionId: string
  actor: string
  reason: string | undefined
}

/**
 * Asks for the end of a mission: what waits is canceled now, what executes is told by its agent's next beat and ended by a sweep after
 * the grace time. A mission that has ended stays as it is; asking twice changes nothing, and what undoes its work is not canceled.
 */
export async function cancelMission(db: Db, order: CancelOrder): Promise<Saved> {
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    await lockMissions(trx, ledger, [order.missionId])
    const mission = ledger.missions.get(order.missionId)
    if (mission === undefined || mission.tenantId !== order.tenantId) throw new AppError('not_found')
    if (isMissionTerminal(mission.state)) return NOTHING_SAVED
    if (!mission.canceling) {
      mission.canceling = true
      tell(
        ledger,
        mission,
        'mission.cancel_requested',
        null,
        order.reason === undefined ? {} : { reason: order.reason },
      )
      const detail = { ...auditVia(order), ...(order.reason === undefined ? {} : { reason: order.reason }) }
      await writeAudit(trx, [
        { tenantId: order.tenantId, actor: order.actor, action: 'mission.cancel_requested', ref: mission.id, detail },
      ])
    }
    return await endWaiting(trx, ledger)
  })
}

/** Cancels what waits in the locked missions of the ledger and follows the consequences. */
export async function endWaiting(trx: Trx, ledger: Ledger): Promise<Saved> {
  const ids = [...ledger.missions.values()].filter(isBeingCanceled).map(({ id }) => id)
  cancelWaiting(ledger, await lockWaiting(trx, ledger, ids))
  return await settle(trx, ledger)
}
