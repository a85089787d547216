/** A mission within another one begins nothing while that is paused: it is paused with it, and resumed with it. */
import type { BudgetFacts } from './budget.ts'

/** A mission around another one. */
export interface MissionAround {
  readonly id: string
  readonly crew: string
  readonly isPaused: boolean
  readonly budget: BudgetFacts | null
}

/** What is told of a mission that is paused with the one around it; by `missionId` it is known again when that goes on. */
export const pausedWith = ({
  id,
  crew,
}: Pick<MissionAround, 'id' | 'crew'>): { reason: string; missionId: string } => ({
  reason: `mission ${id} of crew ${crew} around it is paused`,
  missionId: id,
})
