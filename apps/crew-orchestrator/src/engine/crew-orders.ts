import type { Broadcast, CrewOrderAnswer, Disband } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { findOpenOfCrew } from '../store/read-missions.ts'
import type { Saved } from '../store/save-ledger.ts'
import { cancelMission } from './cancel.ts'
import { signalMission } from './signal.ts'

export interface CrewOrder {
  tenantId: string
  actor: string
  crew: string
  /** Called after each commit. */
  onSaved: (saved: Saved) => void
}

/** Gives a signal to the open missions of a crew. With a key, a repeat changes nothing in a mission that has it. */
export const broadcast = async (
  db: Db,
  order: CrewOrder,
  { version, after, limit, ...signal }: Broadcast,
  idempotencyKey: string | undefined,
): Promise<CrewOrderAnswer> =>
  await toEach(db, order, { version, after, limit }, async (missionId) => {
    const { tenantId, actor } = order
    return (await signalMission(db, { tenantId, missionId, actor, signal, idempotencyKey })).saved
  })

/** Cancels the open missions of a crew. */
export const disband = async (db: Db, order: CrewOrder, { reason, ...bounds }: Disband): Promise<CrewOrderAnswer> =>
  await toEach(db, order, bounds, async (missionId) => {
    const { tenantId, actor } = order
    return await cancelMission(db, { tenantId, missionId, actor, reason: reason ?? `crew ${order.crew} is disbanded` })
  })

interface Bounds {
  version?: number | undefined
  after?: string | undefined
  limit?: number | undefined
}

/** Each in a transaction of its own: what one mission refuses keeps no other from it. */
async function toEach(
  db: Db,
  { tenantId, crew, onSaved }: CrewOrder,
  { version, after, limit = 500 }: Bounds,
  act: (missionId: string) => Promise<Saved>,
): Promise<CrewOrderAnswer> {
  const found = await findOpenOfCrew(db, tenantId, { crew, version, after, limit: limit + 1 })
  const ids = found.slice(0, limit)
  let done = 0
  for (const id of ids) {
    try {
      onSaved(await act(id))
      done += 1
    } catch (error) {
      // What is wrong with the order itself is wrong for every mission.
      if (!(error instanceof AppError) || error.status === 422) throw error
    }
  }
  const last = ids.at(-1)
  return { done, skipped: ids.length - done, more: found.length > limit, ...(last === undefined ? {} : { last }) }
}
