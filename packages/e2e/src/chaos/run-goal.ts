import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { complaintsSince } from './complaints.ts'
import type { Goal } from './goal.ts'
import { Random } from './random.ts'
import type { Rig } from './rig.ts'
import { settle } from './settle.ts'

/** What is printed of a storm, one JSON line each. */
export interface GoalReport {
  readonly name: string
  readonly ok: boolean
  readonly [what: string]: unknown
}

export interface GoalOptions {
  readonly seconds: number
  readonly seed: number
  /** False when an earlier storm on the same rig has taken entries from Redis. */
  readonly streamsComplete: boolean
  readonly log: (line: string) => void
}

const ACKED_MIN = 0.95

export async function runGoal(rig: Rig, goal: Goal, options: GoalOptions): Promise<GoalReport> {
  const { seconds, seed, log } = options
  const from = performance.now()
  const fromMs = Date.now()
  const name = `${goal.name}-${seed}`
  const lag = monitorEventLoopDelay()
  lag.enable()
  const result = await goal.run({
    rig,
    seconds,
    random: new Random(seed),
    name,
    log: (line) => log(`${goal.name} ${line}`),
  })
  lag.disable()
  log(`${goal.name} the faults are over, waiting until all has settled`)
  for (const line of complaintsSince(rig, fromMs).often) log(`${goal.name} ${line}`)
  const settled = await settle(rig, { streamsComplete: options.streamsComplete && goal.keepsStreams === true })
  const ackedShare = settled.submits === 0 ? 1 : settled.acked / settled.submits
  const nothing = [
    ...(result.inFlight < goal.minFaults ? [`${result.inFlight} faults in flight, ${goal.minFaults} are needed`] : []),
    ...(ackedShare < ACKED_MIN ? [`${settled.acked} of ${settled.submits} submits acknowledged`] : []),
  ]
  const settledInTime = settled.settleMs !== undefined && settled.settleMs <= (goal.settleMaxMs ?? Infinity)
  return {
    name: goal.name,
    figure: result.figure,
    unit: result.unit,
    bar: goal.bar,
    ok: result.ok && settledInTime && settled.broken.length === 0 && nothing.length === 0,
    seed,
    seconds: Math.round((performance.now() - from) / 1000),
    faults: result.faults,
    inFlight: result.inFlight,
    submits: settled.submits,
    acked: settled.acked,
    settleMs: settled.settleMs ?? null,
    open: settled.open,
    violations: settled.broken,
    unknownEffects: settled.unknownEffects,
    // All bytes between the processes go through this one: where it was held up, so was everything.
    heldUpMs: { p99: Math.round(lag.percentile(99) / 1e6), max: Math.round(lag.max / 1e6) },
    ...(nothing.length > 0 && { provedNothing: nothing }),
    ...result.more,
  }
}
