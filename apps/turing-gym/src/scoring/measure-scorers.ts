import { durationMs } from '@hypercode/contracts'
import type { ScorerOf } from './scorer.ts'
import { right, wrong } from './value-scorers.ts'

/** Scorers of what the work took, and of how it ended. */

export const latency: ScorerOf<'latency'> = ({ latencyMs }, { max }) =>
  latencyMs <= durationMs(max) ? right() : wrong(`took ${Math.round(latencyMs)} ms, the limit is ${max}`)

export const tokens: ScorerOf<'tokens'> = ({ tokens: used }, { max }) =>
  used <= max ? right() : wrong(`used ${used} tokens, the limit is ${max}`)

export const cost: ScorerOf<'cost'> = ({ usd }, { maxUsd }) =>
  usd <= maxUsd ? right() : wrong(`cost ${usd} USD, the limit is ${maxUsd}`)

export const outcome: ScorerOf<'outcome'> = (evidence, { is, code }) => {
  if (evidence.outcome !== is) return wrong(`ended ${evidence.outcome} and not ${is}${because(evidence.error)}`)
  if (code === undefined || evidence.error?.code === code) return right()
  return wrong(`ended ${is} with the code ${evidence.error?.code ?? 'of nothing'} and not ${code}`)
}

const because = (error: { readonly code?: string; readonly message?: string } | undefined): string =>
  error === undefined ? '' : `: ${[error.code, error.message].filter((part) => part !== undefined).join(', ')}`
