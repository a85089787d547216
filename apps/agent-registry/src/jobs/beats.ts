/**
 * The way of a beat. Whatever waited during the last statement goes into the next one, and that statement waits for nobody: an
 * instance whose row is in other hands, or that has none, goes to a second lane; a change of health, which has to queue for the event
 * head of its tenant, to a third. So one stuck row delays one instance, and never the beats of the others.
 *
 * Measured through HTTP, one process, 10,000 instances with a task each, on 2 cores that Postgres, PgBouncer, the load generator and
 * other work shared (test/measure-beats.ts): 2,200 to 9,300 beats/s; 65 to 95 µs of CPU per beat.
 */
import { createLane, isConnectionError, repeatable } from '@hypercode/db'
import type { Db, Lane } from '@hypercode/db'
import type { Lifecycle } from '@hypercode/contracts'
import { runWithContext } from '@hypercode/telemetry'
import type { Logger } from '@hypercode/telemetry'
import { judgeBeatOf } from '../domain/beat.ts'
import type { Beat, BeatOutcome } from '../domain/beat.ts'
import { judgeBeat } from '../domain/health.ts'
import type { RegistryMetrics } from '../metrics.ts'
import type { Publish } from '@hypercode/events'
import { renewAll } from '../store/beats.ts'
import type { BeatRow } from '../store/beats.ts'
import { recoverAll } from '../store/recoveries.ts'

export interface BeatsOptions {
  readonly db: Db
  /** A pool of its own, so that a beat never waits behind a search or a registration. */
  readonly beatDb: Db
  readonly publish: Publish
  readonly log: Logger
  readonly metrics: RegistryMetrics
  readonly leaseMs: number
  readonly onFull: (waiting: number) => Error
}

export interface Beats {
  /** Rejects when the database cannot be reached, or when too many beats wait. */
  submit(beat: Beat): Promise<BeatOutcome>
  idle(): Promise<void>
}

/** Beats that wait at once; one more is answered 503. Each is a small object and an open request. */
const WAITING_MAX = 20_000
const BATCH_MAX = 1000
/** One: the batches are larger, which made up to twice as many beats per second as two lanes. */
const LANES = 1
const SLOW_WAITING_MAX = 5000
const SLOW_BATCH_MAX = 200

export function createBeats(options: BeatsOptions): Beats {
  const { metrics, log } = options
  const fast = renewalLane(options, 'beats', { maxBatch: BATCH_MAX, lanes: LANES, maxWaiting: WAITING_MAX })
  const slow = renewalLane(options, 'slow beats', { maxBatch: SLOW_BATCH_MAX, lanes: 1, maxWaiting: SLOW_WAITING_MAX })
  const recoveries = recoveryLane(options)

  /** Beats are what counts, and this one is in: when the move of health fails, the next beat of the instance makes it. */
  const recover = async (row: BeatRow): Promise<BeatRow> => {
    try {
      return { ...row, lifecycle: await recoveries.submit(row) }
    } catch (err) {
      metrics.recoveriesFailed.inc({})
      log.warn({ err, instanceId: row.instanceId }, 'the instance beats again, but could not be moved')
      return row
    }
  }

  return {
    async submit(beat) {
      const row = (await fast.submit(beat)) ?? (await slow.submit(beat))
      const isUnwell = row?.renewed === true && judgeBeat(row) !== undefined
      const outcome = judgeBeatOf(beat, isUnwell ? await recover(row) : row)
      metrics.beats.inc({ outcome: outcome.kind })
      return outcome
    },
    async idle() {
      await fast.idle()
      await slow.idle()
      await recoveries.idle()
    },
  }
}

function renewalLane(
  { db, beatDb, metrics, leaseMs, onFull }: BeatsOptions,
  name: 'beats' | 'slow beats',
  bounds: { maxBatch: number; lanes: number; maxWaiting: number },
): Lane<Beat, BeatRow | undefined> {
  const waits = name === 'slow beats'
  return createLane<Beat, BeatRow | undefined>({
    name,
    ...bounds,
    onFull,
    mayIsolate: (error) => !isConnectionError(error),
    // A batch belongs to no single request, so it must not log under the context of the first one.
    run: async (beats) =>
      await runWithContext({}, async () => {
        metrics.beatBatch.observe({}, beats.length)
        return await repeatable(async () => await renewAll(waits ? db : beatDb, beats, { leaseMs, waits }))
      }),
  })
}

function recoveryLane({ db, publish, metrics, onFull }: BeatsOptions): Lane<BeatRow, Lifecycle> {
  return createLane<BeatRow, Lifecycle>({
    name: 'recoveries',
    maxBatch: SLOW_BATCH_MAX,
    lanes: 1,
    maxWaiting: WAITING_MAX,
    onFull,
    mayIsolate: () => false,
    run: async (rows) =>
      await runWithContext({}, async () => {
        const { moved, lifecycles } = await recoverAll(db, publish, rows)
        for (const { move } of moved) for (const to of move.health) metrics.moves.inc({ to })
        return rows.map((row) => lifecycles.get(row.instanceId) ?? row.lifecycle)
      }),
  })
}
