import type { Db } from '@hypercode/db'
import { createPlanSource } from '../../src/engine/plans.ts'
import { subCrewTurn } from '../../src/engine/sub-crews.ts'
import type { Stage } from '../harness.ts'

/** One turn, as the loop makes it. */
export async function turnSubCrews({ orchestrator: { engine } }: Stage, db: Db = engine.urgentDb): Promise<number> {
  return await subCrewTurn({
    db,
    plans: createPlanSource(engine),
    submit: async (order) => await engine.submit(order),
    onSaved: engine.after,
    onFault: (error) => {
      throw error
    },
  })
}
