import { median, percentile, runConcurrently } from '../../dev/src/bench/statistics.ts'
import { FAN_TASKS } from './contender.ts'
import type { Contender } from './contender.ts'

export interface Workload {
  readonly about: string
  readonly unit: string
  readonly better: 'more' | 'less'
  /** One figure; `share` of the usual number of missions, for trying things out. */
  measure(contender: Contender, share: number): Promise<number>
}

export type WorkloadName = 'P1' | 'P2' | 'P3' | 'P4'

/**
 * Before each, the same work is done until it no longer gets faster: V8 compiles, pools fill, Postgres recycles its log. Nobody is judged
 * by the first seconds after a start.
 */
export const WORKLOADS: Readonly<Record<WorkloadName, Workload>> = {
  P1: {
    about: '5,000 missions of one task, submitted at once, until the last result is durable',
    unit: 'tasks/s',
    better: 'more',
    async measure(contender, share) {
      const missions = scaled(5000, share, 100)
      await contender.burst(missions)
      return await perSecond(missions, async () => contender.burst(missions))
    },
  },
  P2: {
    about: 'one mission of one task in flight, from the submit until the submitter knows the result',
    unit: 'ms p50',
    better: 'less',
    async measure(contender, share) {
      await runConcurrently(scaled(2000, share), 32, async () => contender.single())
      const times: number[] = []
      for (let n = scaled(300, share); n > 0; n -= 1) {
        const startedAt = performance.now()
        await contender.single()
        times.push(performance.now() - startedAt)
      }
      return round(percentile(times, 0.5))
    },
  },
  P3: {
    about: 'chains of three tasks, 200 of 1,000 in flight',
    unit: 'missions/s',
    better: 'more',
    async measure(contender, share) {
      const missions = scaled(1000, share)
      await runConcurrently(missions, 200, async () => contender.chain())
      return await perSecond(missions, async () => runConcurrently(missions, 200, async () => contender.chain()))
    },
  },
  P4: {
    about: 'one task, then 100 side by side, then one that joins them; 4 missions in flight',
    unit: 'tasks/s',
    better: 'more',
    async measure(contender, share) {
      const missions = scaled(80, share)
      await runConcurrently(scaled(40, share), 4, async () => contender.fan())
      return await perSecond(missions * FAN_TASKS, async () =>
        runConcurrently(missions, 4, async () => contender.fan()),
      )
    },
  },
}

export const WORKLOAD_NAMES = Object.keys(WORKLOADS) as WorkloadName[]

/** The middle of several runs. */
export const middle = (runs: readonly number[]): number => median(runs)

const scaled = (usual: number, share: number, step = 1): number =>
  Math.max(step, Math.round((usual * share) / step) * step)

async function perSecond(pieces: number, work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return Math.round(pieces / ((performance.now() - startedAt) / 1000))
}

const round = (value: number): number => Math.round(value * 100) / 100
