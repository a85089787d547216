import type { Goal } from './goal.ts'
import { GOALS } from './goals/index.ts'
import { startStormRig } from './rig.ts'
import { runGoal } from './run-goal.ts'
import type { GoalReport } from './run-goal.ts'

export interface StormsOptions {
  /** Of faults, for all storms together; what settles after them comes on top. */
  readonly seconds: number
  readonly seed: number
  /** Names of goals; all when empty. */
  readonly only: readonly string[]
  readonly log: (line: string) => void
  readonly onReport: (report: GoalReport) => void
}

export { GOALS } from './goals/index.ts'

export const stormNames = (): string[] => GOALS.map(({ name }) => name)

/** Runs storms one after the other on one platform; true when every one of them has kept its bar and broken nothing. */
export async function runStorms({ seconds, seed, only, log, onReport }: StormsOptions): Promise<boolean> {
  const goals = only.length === 0 ? GOALS : GOALS.filter(({ name }) => only.includes(name))
  log(`seed ${seed}; starting two of each service and 50 agents`)
  const rig = await startStormRig({ smallDisk: goals.some(({ name }) => name === 'R5'), log })
  try {
    let ok = true
    let streamsComplete = true
    for (const goal of goals) {
      log(`${goal.name}: ${goal.about}`)
      const report = await runGoal(rig, goal, { seconds: seconds / goals.length, seed, streamsComplete, log })
      onReport(report)
      ok &&= report.ok
      streamsComplete &&= keepsStreams(goal)
    }
    return ok
  } finally {
    await rig.stop()
  }
}

const keepsStreams = ({ keepsStreams: keeps }: Goal): boolean => keeps === true
