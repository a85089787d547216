import type { Random } from './random.ts'
import type { Rig } from './rig.ts'

export interface StormContext {
  readonly rig: Rig
  /** How long the faults may take, about. */
  readonly seconds: number
  readonly random: Random
  /** Begins the keys of its missions. */
  readonly name: string
  readonly log: (line: string) => void
}

/** What a storm has shown beside the invariants. */
export interface StormResult {
  readonly figure: number
  readonly unit: string
  /** The figure keeps its bar. */
  readonly ok: boolean
  /** Faults that were made, and those of them that met work in flight. */
  readonly faults: number
  readonly inFlight: number
  readonly more?: Readonly<Record<string, unknown>>
}

export interface Goal {
  readonly name: string
  readonly about: string
  readonly bar: string
  /** With fewer faults in flight the run has proved nothing. */
  readonly minFaults: number
  /** Redis loses nothing in it, so that its streams must be whole. */
  readonly keepsStreams?: boolean
  /** The figure is the time in which everything settles. */
  readonly settleMaxMs?: number
  readonly run: (context: StormContext) => Promise<StormResult>
}
