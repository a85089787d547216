/** What the models of a mission may use. A mission that has used it up begins no attempt any more until a person raises a limit. */
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

/**
 * Pauses the mission of a budget that is used up; answers whether it did. What undoes the work of a mission is not held back by money,
 * and nothing else begins in one that is being canceled.
 */
export function stopSpending(ledger: Ledger, mission: MissionFacts, budget: BudgetFacts): boolean {
  if (budget.exhaustedAt === null || mission.canceling || mission.compensating) return false
  if (mission.state === 'paused' || isMissionTerminal(mission.state)) return false
  assertMissionMove(mission.state, 'paused')
  mission.state = 'paused'
  tell(ledger, mission, 'mission.paused', null, { reason: reasonOf(budget) })
  return true
}

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
