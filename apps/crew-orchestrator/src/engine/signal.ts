import { newId } from '@hypercode/contracts'
import type { SendSignal, SignalAnswer } from '@hypercode/contracts'
import { inTransaction, writeAudit } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { canonical, hashText } from '@hypercode/manifest'
import type { TaskFacts } from '../domain/facts.ts'
import { openLedger, tell } from '../domain/ledger.ts'
import { isMissionTerminal } from '../domain/states.ts'
import { takeSignal } from '../domain/waits.ts'
import { enter, lockMissions } from '../store/load.ts'
import { NOTHING_SAVED } from '../store/save-ledger.ts'
import type { Saved } from '../store/save-ledger.ts'
import { SIGNALS_KEPT_MAX, findSignal, storeSignal } from '../store/signals.ts'
import { lockWaitingFor } from '../store/waits.ts'
import { settle } from './settle.ts'

export interface SignalOrder {
  tenantId: string
  missionId: string
  actor: string
  signal: SendSignal
  idempotencyKey: string | undefined
}

/** Characters of what a signal brings; the task that takes it gets it with every further claim. */
const PAYLOAD_CHARS_MAX = 64 * 1024

/** Gives a signal to the task that has waited longest for it, or keeps it. A repeat under its key changes nothing. */
export async function signalMission(db: Db, order: SignalOrder): Promise<{ answer: SignalAnswer; saved: Saved }> {
  const { tenantId, missionId, actor, signal, idempotencyKey } = order
  const payload = signal.payload ?? null
  if (JSON.stringify(payload).length > PAYLOAD_CHARS_MAX)
    throw new AppError('unprocessable', {
      detail: `A signal brings at most ${PAYLOAD_CHARS_MAX} characters.`,
      fix: 'Send where it can be found instead.',
    })
  const requestHash = hashText(canonical(signal))
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    await lockMissions(trx, ledger, [missionId])
    const mission = ledger.missions.get(missionId)
    if (mission === undefined || mission.tenantId !== tenantId) throw new AppError('not_found')
    const known = idempotencyKey === undefined ? undefined : await findSignal(trx, missionId, idempotencyKey)
    if (known !== undefined) {
      if (known.requestHash !== requestHash) throw new AppError('idempotency_mismatch')
      return { answer: answerOf(known.id, known.takenBy), saved: NOTHING_SAVED }
    }
    if (isMissionTerminal(mission.state))
      throw new AppError('conflict', { detail: `the mission is ${mission.state}: nobody waits for a signal` })
    const id = newId()
    const { name, task: taskKey } = signal
    if (
      !(await storeSignal(trx, {
        id,
        tenantId,
        missionId,
        name,
        taskKey,
        payload,
        idempotencyKey,
        requestHash,
        sentBy: actor,
      }))
    )
      throw new AppError('conflict', {
        detail: `the mission keeps ${SIGNALS_KEPT_MAX} signals that nobody has waited for`,
      })
    const waiting = await lockWaitingFor(trx, missionId, name, taskKey)
    tell(ledger, mission, 'mission.signaled', waiting?.row.id ?? null, { signal: name, signalId: id })
    if (waiting !== undefined) {
      const [task] = enter(ledger, [waiting.row]) as [TaskFacts]
      takeSignal(ledger, task, waiting.wait, { id, payload })
    }
    const detail = { signal: name, signalId: id, ...(taskKey === undefined ? {} : { task: taskKey }) }
    await writeAudit(trx, [{ tenantId, actor, action: 'mission.signaled', ref: missionId, detail }])
    return { answer: answerOf(id, waiting?.row.id ?? null), saved: await settle(trx, ledger) }
  })
}

const answerOf = (id: string, takenBy: string | null): SignalAnswer => ({
  id,
  ...(takenBy === null ? {} : { taskId: takenBy }),
})
