import type { Gate } from '@hypercode/contracts'
import type { ExplainFacts } from './explain.ts'

/** Says of a gate how it stands for a task; undefined for one that the task does not have. */
export type GateOf = (facts: ExplainFacts) => Gate | undefined

export const pass = (gate: Gate['gate'], detail: string): Gate => ({ gate, status: 'pass', detail })
export const since = (at: Date | null): { since: string } | undefined =>
  at === null ? undefined : { since: at.toISOString() }
export const until = (at: Date | null): { expectedAt: string } | undefined =>
  at === null ? undefined : { expectedAt: at.toISOString() }
