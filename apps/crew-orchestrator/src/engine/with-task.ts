import { setTimeout as sleep } from 'node:timers/promises'
import { inTransaction } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import type { TaskFacts } from '../domain/facts.ts'
import { openLedger } from '../domain/ledger.ts'
import type { Ledger } from '../domain/ledger.ts'
import { enter, lockFree, lockMissions } from '../store/load.ts'

const TRIES = 20
const BREATH_MS = 25

/**
 * What a person does to one task, in whatever state it is: its mission is locked, then the task. A task may be in the hands of a report,
 * which waits for the mission that is locked here: it is taken only when it is free, and all of this is given up and tried again a moment
 * later when it is not. 404 when `find` finds none.
 */
export async function withTask<T>(
  db: Db,
  find: (trx: Trx) => Promise<{ taskId: string; missionId: string } | undefined>,
  act: (trx: Trx, ledger: Ledger, task: TaskFacts) => Promise<T>,
): Promise<T> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const done = await inTransaction(db, async (trx) => {
      const seen = await find(trx)
      if (seen === undefined) throw new AppError('not_found')
      const ledger = openLedger()
      await lockMissions(trx, ledger, [seen.missionId])
      const [task] = enter(ledger, await lockFree(trx, seen.taskId))
      return task === undefined ? undefined : { result: await act(trx, ledger, task) }
    })
    if (done !== undefined) return done.result
    await sleep(BREATH_MS)
  }
  throw new AppError('unavailable', { detail: 'The task is being changed all the time.', retryAfterMs: 1000 })
}
