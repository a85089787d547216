import type { Static, TSchema } from '@sinclair/typebox'
import type { Evidence, Judgement } from './scorer.ts'

/** A scorer that is made elsewhere. A module exports it as its default; suites call it by its name. */
export interface ScorerModule<Options extends TSchema = TSchema> {
  readonly name: string
  /** Schema of `options`; without one the scorer takes none. */
  readonly options?: Options
  /**
   * Judges one sample. Odd output of an agent is a 0 with a detail; what it throws is a fault of the scorer, and the sample is `errored`.
   * It is given up when `signal` aborts.
   */
  score(
    evidence: Evidence,
    options: Static<Options>,
    run: { readonly signal: AbortSignal },
  ): Judgement | Promise<Judgement>
}

/** Gives a scorer module its types; nothing else happens here. */
export const defineScorer = <Options extends TSchema>(scorer: ScorerModule<Options>): ScorerModule<Options> => scorer

export type { ArtifactReader, Evidence, EvidenceEvent, EvidenceOutcome, EvidenceStep, Judgement } from './scorer.ts'
