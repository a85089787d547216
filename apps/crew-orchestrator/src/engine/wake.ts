import { inTransaction } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { NOTHING_OVERDUE, decideDue } from '../domain/due.ts'
import type { TaskFacts } from '../domain/facts.ts'
import { openLedger } from '../domain/ledger.ts'
import { enter, lockMissions } from '../store/load.ts'
import type { Saved } from '../store/save-ledger.ts'
import { readDueApprovals } from '../store/approvals.ts'
import { lockDueWaits } from '../store/waits.ts'
import { settle } from './settle.ts'

/**
 * Ends the waits of these tasks whose time has come. What waits is locked after its mission; a mission in other hands is left for the next
 * turn. Answers how many it took.
 */
export async function wakeTasks(
  db: Db,
  due: readonly { id: string; mission_id: string }[],
): Promise<{ taken: number; saved: Saved }> {
  return await inTransaction(db, async (trx) => {
    const ledger = openLedger()
    await lockMissions(
      trx,
      ledger,
      due.map((task) => task.mission_id),
      'skip locked',
    )
    const free = due.filter((task) => ledger.missions.has(task.mission_id))
    const rows = await lockDueWaits(
      trx,
      free.map((task) => task.id),
    )
    const asked = rows.filter(({ row }) => row.state !== 'waiting').map(({ row }) => row.id)
    const approvals = await readDueApprovals(trx, asked)
    for (const { row, available, total, wait } of rows) {
      const [task] = enter(ledger, [row]) as [TaskFacts]
      const waited = { wait, approval: approvals.get(task.id) }
      decideDue(ledger, task, { ...NOTHING_OVERDUE, available, total }, Math.random(), waited)
    }
    return { taken: rows.length, saved: await settle(trx, ledger) }
  })
}
