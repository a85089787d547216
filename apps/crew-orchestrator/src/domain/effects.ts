/**
 * The ledger of effects. What a task does outside is written down before (`intent`) and after (`done`), under the fence, by a key that has
 * no attempt: whoever comes next finds what may have happened.
 *
 * F1 An effect that is done is not done again.
 * F2 An intent of an earlier attempt is repeated only if that changes nothing; else a person says whether it happened.
 */
import type { TaskError } from '@hypercode/contracts'

export interface KnownEffect {
  state: 'intent' | 'done' | 'unknown'
  attempt: number
  idempotent: boolean
  requestHash: string | null
}

/** `known`: as it is written; `again`: this attempt takes it over; `unknown`: nobody may do it. */
export type EffectAnswer = 'known' | 'again' | 'unknown' | 'mismatch'

/** What an attempt that wants to do an effect is told, when the ledger has one of this name. */
export function decideEffect(known: KnownEffect, attempt: number, requestHash: string | null): EffectAnswer {
  if (known.requestHash !== requestHash) return 'mismatch'
  if (known.state === 'done') return 'known'
  if (known.state === 'intent' && known.attempt === attempt) return 'known'
  return known.state === 'intent' && known.idempotent ? 'again' : 'unknown'
}

export const unknownEffectError = (name: string): TaskError => ({
  code: 'effect_unknown',
  message: `an attempt was cut off in the effect ${name}, which must not be repeated; say whether it has happened`,
})
