import { createLane, isConnectionError, repeatable } from '@hypercode/db'
import type { Db, Lane } from '@hypercode/db'
import { runWithContext } from '@hypercode/telemetry'
import type { Logger } from '@hypercode/telemetry'
import { judgeBeatOf } from '../domain/beat.ts'
import type { Beat, BeatOutcome } from '../domain/beat.ts'
import { judgeBeat } from '../domain/health.ts'
import type { RegistryMetrics } from '../metrics.ts'
import type { Publish } from '../store/agent-journal.ts'
import { renewAll } from '../store/beats.ts'
import type { BeatRow } from '../store/beats.ts'
import { recoverAll } from '../store/recoveries.ts'

export interface BeatLaneOptions {
  /** A pool of its own, so that a beat never waits behind a search or a registration. */
  readonly db: Db
  readonly publish: Publish
  readonly log: Logger
  readonly metrics: RegistryMetrics
  readonly leaseMs: number
  readonly onFull: (waiting: number) => Error
}

/** Beats that wait at once; one more is answered 503. Each is a small object and an open request. */
const WAITING_MAX = 20_000
const BATCH_MAX = 1000
/** Two, so that one batch gathers while another is with the database. */
const LANES = 2

/** Every beat goes through here. Whatever waited during the last statement goes into the next one. */
export function createBeatLane(options: BeatLaneOptions): Lane<Beat, BeatOutcome> {
  const { db, publish, log, metrics, leaseMs, onFull } = options

  const run = async (beats: readonly Beat[]): Promise<BeatOutcome[]> => {
    const rows = await repeatable(async () => await renewAll(db, beats, leaseMs))
    const states = await recovered(rows)
    metrics.beatBatch.observe({}, beats.length)
    return beats.map((beat, index) => {
      const outcome = judgeBeatOf(beat, states[index])
      metrics.beats.inc({ outcome: outcome.kind })
      return outcome
    })
  }

  /** Beats are what counts, and they are in: when the move of health fails, the next beat of the instance makes it. */
  const recovered = async (rows: readonly (BeatRow | undefined)[]): Promise<readonly (BeatRow | undefined)[]> => {
    const unwell = rows.filter((row) => row?.renewed === true && judgeBeat(row) !== undefined) as BeatRow[]
    if (unwell.length === 0) return rows
    try {
      const moved = await recoverAll(db, publish, unwell)
      for (const { move } of moved.values()) for (const to of move.health) metrics.moves.inc({ to })
      return rows.map((row) => {
        const lifecycle = row === undefined ? undefined : moved.get(row.instanceId)?.move.lifecycle
        return row === undefined || lifecycle === undefined ? row : { ...row, lifecycle }
      })
    } catch (err) {
      metrics.recoveriesFailed.inc({})
      log.warn({ err, instances: unwell.length }, 'instances beat again, but could not be moved')
      return rows
    }
  }

  return createLane<Beat, BeatOutcome>({
    name: 'beats',
    maxBatch: BATCH_MAX,
    lanes: LANES,
    maxWaiting: WAITING_MAX,
    onFull,
    mayIsolate: (error) => !isConnectionError(error),
    // A batch belongs to no single request, so it must not log under the context of the first one.
    run: async (beats) => await runWithContext({}, async () => await run(beats)),
  })
}
