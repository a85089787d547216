import type { Db } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { CREW_DEPTH_MAX } from '../domain/sub-crew.ts'
import { findStragglers } from '../store/around.ts'
import type { Saved } from '../store/save-ledger.ts'
import { pauseMission, resumeMission } from './pause.ts'

const BATCH = 100

/**
 * Pauses what stands within paused missions, and resumes what was paused so once they go on; answers how many. Each is a transaction of
 * its own, and what a killed process leaves undone the next turn finds.
 */
export async function followAround(
  { db, onSaved }: { db: Db; onSaved: (saved: Saved) => void },
  attempt: (id: string, act: () => Promise<void>) => Promise<void>,
): Promise<number> {
  let followed = 0
  // Each look finds what follows from the one before: the whole way down in one turn.
  for (let level = 0; level < CREW_DEPTH_MAX; level += 1) {
    const found = await findStragglers(db, BATCH)
    for (const { id: missionId, tenantId, around, mustPause } of found) {
      const order = { tenantId, missionId, actor: 'system', around }
      await attempt(missionId, async () =>
        unlessChanged(async () => onSaved(await (mustPause ? pauseMission(db, order) : resumeMission(db, order)))),
      )
    }
    followed += found.length
    if (found.length === 0) break
  }
  return followed
}

/** It has ended meanwhile, or may not go on any more: the next look sees that. */
async function unlessChanged(act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    if (!(error instanceof AppError) || error.status !== 409) throw error
  }
}
