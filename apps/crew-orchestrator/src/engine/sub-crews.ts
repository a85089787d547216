/**
 * Crews within crews. A task with a crew waits, holding no slot, while a mission of its own runs. That mission is begun, answered and
 * canceled here, by any replica, one small transaction after the other: a task has one mission at a time that it has not heard the end of
 * (a unique index holds that), and what a killed process leaves undone the next turn finds.
 */
import { inTransaction, isConnectionError } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { hashText } from '@hypercode/manifest'
import type { TaskError } from '@hypercode/contracts'
import type { TaskFacts } from '../domain/facts.ts'
import { openLedger } from '../domain/ledger.ts'
import type { Ledger } from '../domain/ledger.ts'
import { CREWS_WITHIN_MAX, CREW_DEPTH_MAX, endWithChild, failForCrew } from '../domain/sub-crew.ts'
import { enter, lockMissions } from '../store/load.ts'
import { NOTHING_SAVED } from '../store/save-ledger.ts'
import type { Saved } from '../store/save-ledger.ts'
import {
  findEndedCrews,
  findOrphanedCrews,
  findPendingCrews,
  lockWaitingForCrew,
  markTold,
} from '../store/sub-crews.ts'
import type { EndedCrew, PendingCrew, WaitingForCrew } from '../store/sub-crews.ts'
import { cancelMission } from './cancel.ts'
import { followAround } from './pause-within.ts'
import type { PlanSource } from './plans.ts'
import { settle } from './settle.ts'
import type { SubmitOrder } from './submit.ts'

const BATCH = 100

export interface SubCrewOptions {
  db: Db
  plans: PlanSource
  submit: (order: SubmitOrder) => Promise<unknown>
  onSaved: (saved: Saved) => void
  /** Told of a task that nothing can be done about in this turn. Must not throw. */
  onFault: (error: unknown, id: string) => void
}

/** One turn; answers how many tasks it began a mission for, told of its end, or took it from, and missions that it paused or resumed. */
export async function subCrewTurn(options: SubCrewOptions): Promise<number> {
  const { db, onSaved } = options
  const ended = await findEndedCrews(db, BATCH)
  for (const one of ended) await attempt(options, one.task_id, async () => onSaved(await hearOfEnd(db, one)))
  const orphans = await findOrphanedCrews(db, BATCH)
  for (const { id: missionId, tenant_id: tenantId } of orphans) {
    const order = { tenantId, missionId, actor: 'system', reason: 'the task that began it has ended' }
    await attempt(options, missionId, async () => onSaved(await cancelMission(db, order)))
  }
  const followed = await followAround(options, async (id, act) => await attempt(options, id, act))
  const pending = await findPendingCrews(db, BATCH)
  let begun = 0
  for (const one of pending) {
    // What begins in this turn counts for what begins after it.
    await attempt(options, one.task_id, async () => await begin(options, { ...one, within: one.within + begun }))
    begun += 1
  }
  return ended.length + orphans.length + followed + pending.length
}

async function attempt({ onFault }: SubCrewOptions, id: string, act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    if (isConnectionError(error)) throw error
    onFault(error, id)
  }
}

async function begin(options: SubCrewOptions, one: PendingCrew): Promise<void> {
  const refused = (code: string, message: string): Promise<void> => refuse(options, one, { code, message })
  if (one.depth >= CREW_DEPTH_MAX)
    return await refused('crew_too_deep', `more than ${CREW_DEPTH_MAX} crews stand one within the other`)
  if (one.within >= CREWS_WITHIN_MAX)
    return await refused('crews_too_many', `the outermost mission has begun ${CREWS_WITHIN_MAX} others already`)
  try {
    await options.submit({
      tenantId: one.tenant_id,
      createdBy: one.created_by,
      ...(await options.plans.planOf(one.tenant_id, { crew: one.crew })),
      input: one.input,
      priority: one.priority,
      labels: one.labels,
      // Two replicas may be at it at once: one of them finds what the other has stored.
      idempotencyKey: `crew-of/${one.task_id}${one.before === 0 ? '' : `/${one.before}`}`,
      requestHash: hashText(one.task_id),
      requestChars: JSON.stringify(one.input ?? null).length,
      correlationId: one.correlation_id,
      traceparent: one.traceparent,
      within: { parentTaskId: one.task_id, rootId: one.root_id, depth: one.depth + 1 },
    })
  } catch (error) {
    // A crew that is not there, or cannot run, will not be there in a moment either; a lane that is full will have room.
    if (!(error instanceof AppError) || error.status >= 500 || error.status === 429) throw error
    await refused(error.status === 404 ? 'crew_unknown' : 'crew_unfit', error.message)
  }
}

const refuse = async ({ db, onSaved }: SubCrewOptions, one: PendingCrew, fault: TaskError): Promise<void> =>
  onSaved(
    await withWaiting(db, one, async (_, ledger, task, { child_id: begun }) => {
      if (begun === null) failForCrew(ledger, task, fault)
    }),
  )

const hearOfEnd = async (db: Db, ended: EndedCrew): Promise<Saved> =>
  await withWaiting(db, ended, async (trx, ledger, task, row) => {
    if (row.child_id === null || !row.child_ended) return
    await markTold(trx, row.child_id)
    endWithChild(ledger, task, {
      id: row.child_id,
      crew: row.child_crew,
      state: row.child_state,
      output: row.child_output,
      error: row.child_error,
    })
  })

async function withWaiting(
  db: Db,
  {
    task_id: taskId,
    mission_id: missionId,
    child_id: childId,
  }: Pick<EndedCrew, 'task_id' | 'mission_id'> & { child_id?: string },
  decide: (trx: Trx, ledger: Ledger, task: TaskFacts, row: WaitingForCrew) => Promise<void>,
): Promise<Saved> {
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    await lockMissions(trx, ledger, childId === undefined ? [missionId] : [missionId, childId])
    // Of the one that has ended nothing is decided any more.
    if (childId !== undefined) ledger.missions.delete(childId)
    const row = await lockWaitingForCrew(trx, taskId)
    if (row === undefined) return NOTHING_SAVED
    const [task] = enter(ledger, [row]) as [TaskFacts]
    await decide(trx, ledger, task, row)
    return await settle(trx, ledger)
  })
}
