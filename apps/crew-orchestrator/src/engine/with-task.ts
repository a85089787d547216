import { inTransaction } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import type { TaskFacts } from '../domain/facts.ts'
import { openLedger } from '../domain/ledger.ts'
import type { Ledger } from '../domain/ledger.ts'
import { enter, lockFree, lockMissions } from '../store/load.ts'
import { StillInHandsError, untilFree } from './until-free.ts'

/**
 * What a person does to one task, in whatever state it is: its mission is locked, then the task. A task may be in the hands of a report,
 * which waits for the mission that is locked here: it is taken only when it is free. 404 when `find` finds none.
 */
export async function withTask<T>(
  db: Db,
  find: (trx: Trx) => Promise<{ taskId: string; missionId: string } | undefined>,
  act: (trx: Trx, ledger: Ledger, task: TaskFacts) => Promise<T>,
): Promise<T> {
  return await untilFree(
    async () =>
      await inTransaction(db, async (trx) => {
        const seen = await find(trx)
        if (seen === undefined) throw new AppError('not_found')
        const ledger = openLedger()
        await lockMissions(trx, ledger, [seen.missionId])
        const [task] = enter(ledger, await lockFree(trx, seen.taskId))
        if (task === undefined) throw new StillInHandsError()
        return await act(trx, ledger, task)
      }),
  )
}
