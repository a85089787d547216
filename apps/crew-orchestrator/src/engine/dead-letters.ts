import type { DeadLetter } from '@hypercode/contracts'
import { inTransaction, writeAudit } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { sql } from 'kysely'
import type { TaskFacts } from '../domain/facts.ts'
import { missionOf, move, openLedger, tell } from '../domain/ledger.ts'
import type { Ledger } from '../domain/ledger.ts'
import { isMissionTerminal } from '../domain/states.ts'
import { findDeadLetter, resolveDeadLetter } from '../store/dead-letters.ts'
import { enter, lockMissions } from '../store/load.ts'
import type { Saved } from '../store/save-ledger.ts'
import { TASK_FACTS } from '../store/task-facts.ts'
import type { TaskFactsRow } from '../store/task-facts.ts'
import { settle } from './settle.ts'
import { auditVia } from './via.ts'
import type { Via } from './via.ts'

export interface LetterOrder extends Via {
  tenantId: string
  id: string
  actor: string
}

/** Queues the paused task of a letter again, with as many attempts as its policy gives. */
export const replay = (db: Db, order: LetterOrder): Promise<{ letter: DeadLetter; saved: Saved }> =>
  resolve(db, order, 'replayed')

/** Gives the task of a letter up: a paused one fails now. */
export const discard = (db: Db, order: LetterOrder): Promise<{ letter: DeadLetter; saved: Saved }> =>
  resolve(db, order, 'discarded')

/** Gives the paused task of a letter another input. The letter stays open: a replay begins with it. */
export async function edit(
  db: Db,
  { tenantId, id, actor }: LetterOrder,
  input: unknown,
): Promise<{ letter: DeadLetter; saved: Saved }> {
  return await inTransaction(db, async (trx) => {
    const { ledger, task, letter } = await open(trx, tenantId, id)
    if (letter.resolution !== undefined || task.state !== 'paused') {
      throw new AppError('conflict', {
        detail:
          letter.resolution === undefined ? `the task is ${task.state}` : `the dead letter was ${letter.resolution}`,
        fix: 'Only the input of a paused task can be edited; submit the mission again with another input.',
      })
    }
    task.input = input
    ledger.changed.add(task)
    tell(ledger, missionOf(ledger, task), 'deadletter.edited', task.id, { key: task.key })
    await writeAudit(trx, [{ tenantId, actor, action: 'deadletter.edited', ref: id, detail: { taskId: task.id } }])
    const saved = await settle(trx, ledger)
    return { letter: (await findDeadLetter(trx, tenantId, id)) as DeadLetter, saved }
  })
}

async function resolve(
  db: Db,
  { tenantId, id, actor, via }: LetterOrder,
  resolution: 'replayed' | 'discarded',
): Promise<{ letter: DeadLetter; saved: Saved }> {
  return await inTransaction(db, async (trx) => {
    const { ledger, task, letter } = await open(trx, tenantId, id)
    if (resolution === 'replayed' && task.state !== 'paused') {
      throw new AppError('conflict', {
        detail: `the task is ${task.state}`,
        fix: 'Only a paused task can be replayed. Give its retry policy onExhausted: pause, or submit the mission again.',
      })
    }
    if (!(await resolveDeadLetter(trx, tenantId, id, resolution, actor)))
      throw new AppError('conflict', { detail: 'the dead letter has been resolved before' })
    const mission = missionOf(ledger, task)
    // Nothing is told of a mission after its end.
    if (!isMissionTerminal(mission.state)) tell(ledger, mission, `deadletter.${resolution}`, task.id, { key: task.key })
    if (resolution === 'replayed') {
      task.maxAttempts = task.attempt + task.retry.maxAttempts
      move(ledger, task, 'queued', { reason: 'replayed from the dead letters' })
    } else if (task.state === 'paused') {
      move(ledger, task, 'failed', { error: task.error ?? letter.error, reason: 'discarded' })
    }
    await writeAudit(trx, [
      {
        tenantId,
        actor,
        action: `deadletter.${resolution}`,
        ref: id,
        detail: { ...auditVia({ via }), taskId: task.id },
      },
    ])
    const saved = await settle(trx, ledger)
    return { letter: (await findDeadLetter(trx, tenantId, id)) as DeadLetter, saved }
  })
}

async function open(
  trx: Trx,
  tenantId: string,
  id: string,
): Promise<{ letter: DeadLetter; ledger: Ledger; task: TaskFacts }> {
  const known = await findDeadLetter(trx, tenantId, id)
  if (known === undefined) throw new AppError('not_found')
  const ledger = openLedger()
  const [task] = enter(ledger, await lockTask(trx, known.taskId)) as [TaskFacts]
  await lockMissions(trx, ledger, [task.missionId])
  // Once more, behind the lock: somebody may have resolved it while this waited.
  return { letter: (await findDeadLetter(trx, tenantId, id)) as DeadLetter, ledger, task }
}

async function lockTask(trx: Trx, id: string): Promise<TaskFactsRow[]> {
  return (
    await sql<TaskFactsRow>`select ${TASK_FACTS} from tasks t where t.id = ${id} for no key update of t`.execute(trx)
  ).rows
}
