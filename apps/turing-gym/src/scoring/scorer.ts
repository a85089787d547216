import type { CloudEvent, Score, Scorer } from '@hypercode/contracts'
import type { Sandbox } from '@hypercode/sandbox'
import type { Judge } from './judge.ts'
import type { ScorerModules } from './scorer-modules.ts'

/** How the task of a sample ended. */
export type EvidenceOutcome = 'completed' | 'failed' | 'rejected' | 'canceled'

/** Everything that a sample left behind, gathered by the gym after its end. Nothing in here is written by a scorer. */
export interface Evidence {
  readonly outcome: EvidenceOutcome
  /** Why it did not complete. */
  readonly error?: { readonly code?: string; readonly message?: string }
  /** Output of the task; absent when it has none. */
  readonly output?: unknown
  /** The step journal of the task, in the order of recording. */
  readonly steps: readonly EvidenceStep[]
  readonly artifacts: ArtifactReader
  /** Real path of the folder with the files of the sample, the agent's patch applied. Absent when the scenario has no files. */
  readonly workspace?: string
  /** From the submit to the end of the task. */
  readonly latencyMs: number
  readonly tokens: number
  readonly usd: number
  /** What was really done to the sample, one entry per fault that took place: `kill agent at step:2`, `status 429`. */
  readonly faultsInjected: readonly string[]
  /** Every event of the mission, from the first to the last, by `seq`. */
  readonly events: readonly EvidenceEvent[]
}

export interface EvidenceStep {
  readonly name: string
  readonly response: unknown
}

export type EvidenceEvent = Pick<CloudEvent, 'seq' | 'type' | 'data'> & Partial<Pick<CloudEvent, 'subject' | 'time'>>

export interface ArtifactReader {
  /** Names of what the task stored. */
  readonly names: readonly string[]
  /** The bytes of one of `names`. Throws when they cannot be had, which is a fault of ours. */
  read(name: string): Promise<Uint8Array>
}

/** What scorers may use. One value serves all samples of a run. */
export interface ScoreTools {
  /** Absent: `command` cannot be scored, and says so by a `ScoringFault`. */
  readonly sandbox?: Sandbox
  /** Absent: no model is configured, `judge` cannot be scored. */
  readonly judge?: Judge
  readonly modules: ScorerModules
  readonly signal: AbortSignal
}

/** What one kind of scorer says: 0 to 1, and in words why. */
export interface Judgement {
  readonly score: number
  readonly detail?: string
}

/**
 * Scores of one kind. An agent's odd output is a 0 with a detail; what is thrown is a fault of the gym, of the suite or of the platform.
 */
export type ScorerOf<K extends Scorer['kind']> = (
  evidence: Evidence,
  scorer: Extract<Scorer, { kind: K }>,
  tools: ScoreTools,
) => Judgement | Promise<Judgement>

/** How one sample was judged as a whole. */
export interface SampleScore {
  /** Every scorer reached its `pass`. */
  readonly passed: boolean
  /** Mean of the scores by their weights, 0 to 1. */
  readonly score: number
  readonly scores: readonly Score[]
}

/** A sample could not be judged, and the agent is not to blame: the sample is `errored`, which is neither a pass nor a fail. */
export class ScoringFault extends Error {
  override readonly name = 'ScoringFault'
}
