/**
 * What the models of a mission may use, and those of the missions within it. A mission that has used it up begins no attempt any more
 * until a person raises a limit.
 */
import { pausedWith } from './around.ts'
import { tell } from './ledger.ts'
import type { Ledger } from './ledger.ts'
import type { MissionFacts } from './facts.ts'
import { assertMissionMove, isMissionTerminal } from './states.ts'

export interface BudgetFacts {
  readonly tokensMax: number | null
  readonly usdMax: number | null
  readonly tokensUsed: number
  readonly usdUsed: number
  /** Since when a limit is reached. */
  readonly exhaustedAt: Date | null
}

/** How much of how much: `1200 of 1000 tokens and 0.5 of 2 USD`. */
export function figuresOf({ tokensMax, usdMax, tokensUsed, usdUsed }: BudgetFacts): string {
  const figures = [
    ...(tokensMax === null ? [] : [`${tokensUsed} of ${tokensMax} tokens`]),
    ...(usdMax === null ? [] : [`${usdUsed} of ${usdMax} USD`]),
  ]
  return figures.join(' and ')
}

/** A mission that is paused, and why. */
export interface Stopped {
  mission: MissionFacts
  reason: string
}

/**
 * Pauses the missions whose budgets are used up, and what stands within them; `missions` are some of the ledger, each within the next.
 * What undoes the work of a mission is not held back by money, and nothing else begins in one that is being canceled.
 */
export function stopSpending(
  ledger: Ledger,
  missions: readonly MissionFacts[],
  budgets: ReadonlyMap<string, BudgetFacts>,
): Stopped[] {
  const stopped: Stopped[] = []
  let around: MissionFacts | undefined
  for (const mission of missions.toReversed()) {
    const budget = budgets.get(mission.id)
    const cause =
      budget !== undefined && budget.exhaustedAt !== null
        ? { reason: reasonOf(budget) }
        : around !== undefined && isHeld(around)
          ? pausedWith(around)
          : undefined
    if (cause !== undefined && canPause(mission)) {
      assertMissionMove(mission.state, 'paused')
      mission.state = 'paused'
      tell(ledger, mission, 'mission.paused', null, cause)
      stopped.push({ mission, reason: cause.reason })
    }
    around = mission
  }
  return stopped
}

const isHeld = ({ state, canceling }: MissionFacts): boolean => state === 'paused' && !canceling

const canPause = ({ state, canceling, compensating }: MissionFacts): boolean =>
  state !== 'paused' && !canceling && !compensating && !isMissionTerminal(state)

export const reasonOf = (budget: BudgetFacts): string => `its budget is used up: ${figuresOf(budget)}`

/** What is wrong with new limits, by the limit: they only grow, and only where there is one. */
export function raiseFaults(
  { tokensMax, usdMax }: BudgetFacts,
  raised: { readonly tokens?: number; readonly usd?: number },
): { limit: 'tokens' | 'usd'; message: string }[] {
  const faultOf = (limit: 'tokens' | 'usd', now: number | null, next: number | undefined) => {
    if (next === undefined) return []
    if (now === null) return [{ limit, message: `the budget has no limit of ${limit}` }]
    return next < now ? [{ limit, message: `is less than it is now: ${now}` }] : []
  }
  return [...faultOf('tokens', tokensMax, raised.tokens), ...faultOf('usd', usdMax, raised.usd)]
}
