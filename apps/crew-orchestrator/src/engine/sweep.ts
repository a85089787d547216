/**
 * What time does to missions. Every replica sweeps; rows in the hands of another are skipped. All instants are judged by Postgres.
 */
import { inTransaction, isConnectionError, writeAudit } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import type { Brake } from '../domain/brake.ts'
import { decideDue } from '../domain/due.ts'
import { endAttempt } from '../domain/end-attempt.ts'
import type { TaskFacts } from '../domain/facts.ts'
import { openLedger, tell } from '../domain/ledger.ts'
import { isMissionTerminal } from '../domain/states.ts'
import {
  countLeases,
  findBeyondGrace,
  findDue,
  findLeftWaiting,
  findOverdueMissions,
  lockDue,
  lockExecuting,
} from '../store/due.ts'
import { enter, lockMissions } from '../store/load.ts'
import { findDueWaits } from '../store/waits.ts'
import { NOTHING_SAVED } from '../store/save-ledger.ts'
import type { Saved } from '../store/save-ledger.ts'
import { endWaiting } from './cancel.ts'
import { settle } from './settle.ts'
import { wakeTasks } from './wake.ts'

/** Rows that one transaction of a sweep takes. */
const SWEEP_BATCH = 200
/** Due tasks of one turn; what is left waits for the next, so that a turn always ends. */
const TURN_MAX = 5000

export interface SweepOptions {
  db: Db
  brake: Brake
  cancelGraceMs: number
  /** Called after each commit. */
  onSaved: (saved: Saved) => void
  /** Told of a task or mission that time has come for and that cannot be changed: a bug of ours. It stops no other. Must not throw. */
  onFault: (error: unknown, id: string) => void
}

/** One turn: tasks whose time has come, missions past their deadline, and cancels that are not through. Answers how many rows it took. */
export async function sweepTurn(options: SweepOptions): Promise<number> {
  const { db, brake, cancelGraceMs } = options
  try {
    const { live, expired } = await countLeases(db)
    const total =
      (await sweepAll(options, 'others', TURN_MAX)) +
      (await sweepAll(options, 'leases', brake.allow(performance.now(), expired, live)))
    await sweepWaits(options)
    await each(options, await findOverdueMissions(db, SWEEP_BATCH), async (id) => await endAtDeadline(db, id))
    await each(options, await findLeftWaiting(db, SWEEP_BATCH), async (id) => await cancelAgain(db, id))
    const beyond = await findBeyondGrace(db, cancelGraceMs, SWEEP_BATCH)
    await each(options, beyond, async (id) => await endBeyondGrace(db, id))
    return total
  } catch (error) {
    brake.failed()
    throw error
  }
}

/** Does each by itself: one that cannot be done is told, and the others are done all the same. */
async function each(
  { onSaved, onFault }: SweepOptions,
  ids: readonly string[],
  act: (id: string) => Promise<Saved>,
): Promise<void> {
  for (const id of ids) {
    try {
      onSaved(await act(id))
    } catch (error) {
      if (isConnectionError(error)) throw error
      onFault(error, id)
    }
  }
}

/** Takes at most `most` due tasks of a kind, a bounded transaction at a time; answers how many. */
async function sweepAll(options: SweepOptions, kind: 'leases' | 'others', most: number): Promise<number> {
  const { db, onSaved } = options
  let total = 0
  while (total < most) {
    const limit = Math.min(SWEEP_BATCH, most - total)
    try {
      const { taken, saved } = await sweepDue(db, kind, limit)
      onSaved(saved)
      total += taken
      if (taken < limit) break
    } catch (error) {
      if (isConnectionError(error)) throw error
      // Something lies in one of the rows. Alone, the others come through; what is left waits for the next turn.
      const ids = await findDue(db, kind, limit)
      await each(options, ids, async (id) => (await sweepDue(db, kind, 1, id)).saved)
      return total + ids.length
    }
  }
  return total
}

async function sweepDue(
  db: Db,
  kind: 'leases' | 'others',
  limit: number,
  only?: string,
): Promise<{ taken: number; saved: Saved }> {
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    const due = await lockDue(trx, kind, limit, only)
    await lockMissions(
      trx,
      ledger,
      due.map(({ row }) => row.mission_id),
    )
    for (const { row, overdue } of due)
      decideDue(ledger, (enter(ledger, [row]) as [TaskFacts])[0], overdue, Math.random())
    return { taken: due.length, saved: await settle(trx, ledger) }
  })
}

/** Ends what has waited long enough, a bounded transaction at a time. */
async function sweepWaits(options: SweepOptions): Promise<void> {
  const { db, onSaved } = options
  for (let total = 0; total < TURN_MAX; ) {
    const due = await findDueWaits(db, SWEEP_BATCH)
    if (due.length === 0) return
    try {
      const { taken, saved } = await wakeTasks(db, due)
      onSaved(saved)
      total += taken
      // What is left is in the hands of another replica.
      if (taken === 0 || due.length < SWEEP_BATCH) return
    } catch (error) {
      if (isConnectionError(error)) throw error
      const byId = new Map(due.map((task) => [task.id, task]))
      await each(options, [...byId.keys()], async (id) => {
        const task = byId.get(id)
        return task === undefined ? NOTHING_SAVED : (await wakeTasks(db, [task])).saved
      })
      return
    }
  }
}

async function endAtDeadline(db: Db, missionId: string): Promise<Saved> {
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    await lockMissions(trx, ledger, [missionId])
    const mission = ledger.missions.get(missionId)
    if (mission !== undefined && !isMissionTerminal(mission.state) && !mission.canceling && !mission.compensating) {
      mission.canceling = true
      mission.error = { code: 'deadline_exceeded', message: 'the mission was not done by its deadline' }
      tell(ledger, mission, 'mission.cancel_requested', null, { reason: 'deadline' })
      const entry = { tenantId: mission.tenantId, actor: 'system', action: 'mission.cancel_requested', ref: mission.id }
      await writeAudit(trx, [{ ...entry, detail: { reason: 'deadline' } }])
    }
    return await endWaiting(trx, ledger)
  })
}

async function cancelAgain(db: Db, missionId: string): Promise<Saved> {
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    await lockMissions(trx, ledger, [missionId])
    return await endWaiting(trx, ledger)
  })
}

async function endBeyondGrace(db: Db, missionId: string): Promise<Saved> {
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    const rows = await lockExecuting(trx, missionId, SWEEP_BATCH)
    await lockMissions(trx, ledger, [missionId])
    for (const task of enter(ledger, rows)) endAttempt(ledger, task, { kind: 'canceled' }, Math.random())
    return await settle(trx, ledger)
  })
}
