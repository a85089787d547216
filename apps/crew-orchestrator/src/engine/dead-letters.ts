import type { DeadLetter } from '@hypercode/contracts'
import { writeAudit } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import type { TaskFacts } from '../domain/facts.ts'
import { goOn } from '../domain/go-on.ts'
import { missionOf, move, tell } from '../domain/ledger.ts'
import type { Ledger } from '../domain/ledger.ts'
import { isUnfilled } from '../domain/release.ts'
import { isMissionTerminal } from '../domain/states.ts'
import { findDeadLetter, resolveDeadLetter } from '../store/dead-letters.ts'
import { readGoOnFacts } from '../store/go-on-facts.ts'
import type { Saved } from '../store/save-ledger.ts'
import { settle } from './settle.ts'
import { auditVia } from './via.ts'
import type { Via } from './via.ts'
import { withTask } from './with-task.ts'

export interface LetterOrder extends Via {
  tenantId: string
  id: string
  actor: string
}

/** Lets the paused task of a letter go on, with as many attempts as its policy gives. */
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
  return await withLetter(db, { tenantId, id }, async (trx, ledger, task, letter) => {
    if (letter.resolution !== undefined || task.state !== 'paused') {
      throw new AppError('conflict', {
        detail:
          letter.resolution === undefined ? `the task is ${task.state}` : `the dead letter was ${letter.resolution}`,
        fix: 'Only the input of a paused task can be edited; submit the mission again with another input.',
      })
    }
    if (task.template?.forEach !== undefined || (isUnfilled(task) && task.template?.concurrencyKey !== undefined)) {
      throw new AppError('conflict', {
        detail: 'another input is not what the task lacks: its references lead nowhere',
        fix: 'Skip the task, or discard the dead letter.',
      })
    }
    // With an input of its own it looks nothing up any more.
    if (isUnfilled(task)) task.error = null
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
  return await withLetter(db, { tenantId, id }, async (trx, ledger, task, letter) => {
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
      const refused = goOn(ledger, task, 'replayed from the dead letters', await readGoOnFacts(trx, ledger, task))
      if (refused !== undefined) throw new AppError('conflict', { detail: refused })
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

async function withLetter<T>(
  db: Db,
  { tenantId, id }: Pick<LetterOrder, 'tenantId' | 'id'>,
  act: (trx: Trx, ledger: Ledger, task: TaskFacts, letter: DeadLetter) => Promise<T>,
): Promise<T> {
  const find = async (trx: Trx): Promise<DeadLetter | undefined> => findDeadLetter(trx, tenantId, id)
  return await withTask(db, find, async (trx, ledger, task) =>
    // Once more, behind the lock: somebody may have resolved it while this waited.
    act(trx, ledger, task, (await find(trx)) as DeadLetter),
  )
}
