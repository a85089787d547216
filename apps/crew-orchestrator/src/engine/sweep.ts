/**
 * What time does to missions. Every replica sweeps; rows in the hands of another are skipped. All instants are judged by Postgres.
 */
import { inTransaction } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import type { Brake } from '../domain/brake.ts'
import { NOTHING_OVERDUE, decideDue } from '../domain/due.ts'
import { endAttempt } from '../domain/end-attempt.ts'
import type { TaskFacts } from '../domain/facts.ts'
import { openLedger, tell } from '../domain/ledger.ts'
import { isMissionTerminal } from '../domain/states.ts'
import {
  countLeases,
  findDueWaiting,
  findLeftWaiting,
  findOverdueMissions,
  lockBeyondGrace,
  lockDue,
  lockDueWaiting,
} from '../store/due.ts'
import { enter, lockMissions } from '../store/load.ts'
import { NOTHING_SAVED } from '../store/save-ledger.ts'
import type { Saved } from '../store/save-ledger.ts'
import { endWaiting } from './cancel.ts'
import { settle } from './settle.ts'

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
}

/** One turn: tasks whose time has come, missions past their deadline, and cancels that are not through. Answers how many rows it took. */
export async function sweepTurn(options: SweepOptions): Promise<number> {
  const { db, brake, onSaved } = options
  try {
    const { live, expired } = await countLeases(db)
    const total =
      (await sweepAll(options, 'others', TURN_MAX)) +
      (await sweepAll(options, 'leases', brake.allow(performance.now(), expired, live)))
    onSaved(await endDueWaiting(db))
    for (const missionId of await findOverdueMissions(db, SWEEP_BATCH)) onSaved(await endAtDeadline(db, missionId))
    for (const missionId of await findLeftWaiting(db, SWEEP_BATCH)) onSaved(await cancelAgain(db, missionId))
    onSaved(await endBeyondGrace(db, options.cancelGraceMs))
    return total
  } catch (error) {
    brake.failed()
    throw error
  }
}

/** Takes at most `most` due tasks of a kind, a bounded transaction at a time; answers how many. */
async function sweepAll({ db, onSaved }: SweepOptions, kind: 'leases' | 'others', most: number): Promise<number> {
  let total = 0
  while (total < most) {
    const limit = Math.min(SWEEP_BATCH, most - total)
    const { taken, saved } = await inTransaction(db, async (trx) => {
      const ledger = openLedger()
      const due = await lockDue(trx, kind, limit)
      await lockMissions(
        trx,
        ledger,
        due.map(({ row }) => row.mission_id),
      )
      for (const { row, overdue } of due)
        decideDue(ledger, (enter(ledger, [row]) as [TaskFacts])[0], overdue, Math.random())
      return { taken: due.length, saved: await settle(trx, ledger) }
    })
    onSaved(saved)
    total += taken
    if (taken < limit) break
  }
  return total
}

/** What waits for elements is locked after its mission, as whoever completes an element does it. */
async function endDueWaiting(db: Db): Promise<Saved> {
  const due = await findDueWaiting(db, SWEEP_BATCH)
  if (due.length === 0) return NOTHING_SAVED
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    await lockMissions(
      trx,
      ledger,
      due.map((task) => task.mission_id),
    )
    const rows = await lockDueWaiting(
      trx,
      due.map((task) => task.id),
    )
    for (const task of enter(ledger, rows)) decideDue(ledger, task, { ...NOTHING_OVERDUE, total: true }, Math.random())
    return await settle(trx, ledger)
  })
}

async function endAtDeadline(db: Db, missionId: string): Promise<Saved> {
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    await lockMissions(trx, ledger, [missionId])
    const mission = ledger.missions.get(missionId)
    if (mission !== undefined && !isMissionTerminal(mission.state) && !mission.canceling) {
      mission.canceling = true
      mission.error = { code: 'deadline_exceeded', message: 'the mission was not done by its deadline' }
      tell(ledger, mission, 'mission.cancel_requested', null, { reason: 'deadline' })
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

async function endBeyondGrace(db: Db, graceMs: number): Promise<Saved> {
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    const rows = await lockBeyondGrace(trx, graceMs, SWEEP_BATCH)
    await lockMissions(
      trx,
      ledger,
      rows.map((row) => row.mission_id),
    )
    for (const task of enter(ledger, rows)) endAttempt(ledger, task, { kind: 'canceled' }, Math.random())
    return await settle(trx, ledger)
  })
}
