import type { Trx } from '@hypercode/db'
import { mustCompensate, planCompensations } from '../domain/compensate.ts'
import type { Ledger } from '../domain/ledger.ts'
import { letGo } from '../domain/propagate.ts'
import { isTerminal } from '../domain/states.ts'
import { readCompensated, readUndoable } from '../store/compensations.ts'

/** Missions of the ledger whose tasks have all ended, and not all of them well, begin to undo what they have done. */
export async function beginCompensations(trx: Trx, ledger: Ledger): Promise<void> {
  const missions = [...ledger.missions.values()].filter(mustCompensate)
  if (missions.length === 0) return
  const undoable = await readUndoable(trx, ledger, missions)
  for (const mission of missions) {
    for (const task of planCompensations(ledger, mission, undoable.get(mission.id) ?? [])) {
      const outputs = await readCompensated(trx, ledger, [task])
      task.blockedBy = 0
      letGo(ledger, task, outputs.get(task.id) ?? {}, [])
      // One whose input cannot be filled in has ended already.
      if (!isTerminal(task.state)) break
    }
  }
}
