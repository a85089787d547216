import type { DeadLetter } from '@hypercode/contracts'
import { inTransaction, writeAudit } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { sql } from 'kysely'
import type { TaskFacts } from '../domain/facts.ts'
import { missionOf, move, openLedger, tell } from '../domain/ledger.ts'
import { isMissionTerminal } from '../domain/states.ts'
import { findDeadLetter, resolveDeadLetter } from '../store/dead-letters.ts'
import { enter, lockMissions } from '../store/load.ts'
import type { Saved } from '../store/save-ledger.ts'
import { TASK_FACTS } from '../store/task-facts.ts'
import type { TaskFactsRow } from '../store/task-facts.ts'
import { settle } from './settle.ts'

export interface LetterOrder {
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

async function resolve(
  db: Db,
  { tenantId, id, actor }: LetterOrder,
  resolution: 'replayed' | 'discarded',
): Promise<{ letter: DeadLetter; saved: Saved }> {
  return await inTransaction(db, async (trx) => {
    const letter = await findDeadLetter(trx, tenantId, id)
    if (letter === undefined) throw new AppError('not_found')
    const ledger = openLedger()
    const [task] = enter(ledger, await lockTask(trx, letter.taskId)) as [TaskFacts]
    await lockMissions(trx, ledger, [task.missionId])
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
      { tenantId, actor, action: `deadletter.${resolution}`, ref: id, detail: { taskId: task.id } },
    ])
    const saved = await settle(trx, ledger)
    return { letter: (await findDeadLetter(trx, tenantId, id)) as DeadLetter, saved }
  })
}

async function lockTask(trx: Trx, id: string): Promise<TaskFactsRow[]> {
  return (
    await sql<TaskFactsRow>`select ${TASK_FACTS} from tasks t where t.id = ${id} for no key update of t`.execute(trx)
  ).rows
}
