import { COMPENSATION_MUTANTS } from './mutants/compensations.ts'
import { CORE_MUTANTS } from './mutants/core.ts'
import { EFFECT_MUTANTS } from './mutants/effects.ts'
import { HAND_OVER_MUTANTS } from './mutants/hand-over.ts'
import { LIMIT_MUTANTS } from './mutants/limits.ts'
import { RELAY_MUTANTS } from './mutants/relay.ts'
import { UNSEEN_MUTANTS } from './mutants/unseen.ts'
import { VERIFICATION_MUTANTS } from './mutants/verification.ts'
import { WAIT_MUTANTS } from './mutants/waits.ts'
import type { Mutant } from './mutants/edit.ts'

/** Faults that are put into the real sources as they are loaded, to see that the simulation finds them. */
export const MUTANTS: readonly Mutant[] = [
  ...CORE_MUTANTS,
  ...COMPENSATION_MUTANTS,
  ...EFFECT_MUTANTS,
  ...HAND_OVER_MUTANTS,
  ...UNSEEN_MUTANTS,
  ...LIMIT_MUTANTS,
  ...WAIT_MUTANTS,
  ...VERIFICATION_MUTANTS,
  ...RELAY_MUTANTS,
]
