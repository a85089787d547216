import type { GymSample, ScenarioSummary } from '@hypercode/contracts'
import { quantileSorted, sum } from 'd3-array'
import { passCurves } from './pass-at-k.ts'
import { wilsonInterval } from './wilson.ts'

/** What of a sample counts. A whole `GymSample` is one. */
export type JudgedSample = Pick<GymSample, 'scenario' | 'repetition' | 'state'> &
  Partial<Pick<GymSample, 'latencyMs' | 'tokens' | 'usd'>>

/** One summary per scenario, in the order in which the scenarios first come. Samples without a result yet are not in it. */
export function summarize(samples: Iterable<JudgedSample>): ScenarioSummary[] {
  const byScenario = Map.groupBy(samples, (sample) => sample.scenario)
  return Array.from(byScenario, ([id, of]) => summaryOf(id, of))
}

function summaryOf(id: string, samples: readonly JudgedSample[]): ScenarioSummary {
  const { passed, failed, errored } = countResults(samples)
  const tried = passed + failed
  const latencies = latenciesOf(samples)
  return {
    id,
    samples: tried + errored,
    passed,
    errored,
    passRate: tried === 0 ? 0 : passed / tried,
    interval: wilsonInterval(passed, tried),
    ...passCurves(passed, tried),
    ...(latencies.length > 0 && { p50Ms: quantile(latencies, 0.5), p95Ms: quantile(latencies, 0.95) }),
    tokens: sum(samples, (sample) => sample.tokens),
    usd: sum(samples, (sample) => sample.usd),
  }
}

export interface Results {
  readonly passed: number
  readonly failed: number
  readonly errored: number
}

export function countResults(samples: Iterable<JudgedSample>): Results {
  const counts = { passed: 0, failed: 0, errored: 0 }
  for (const { state } of samples) {
    if (state === 'passed' || state === 'failed' || state === 'errored') counts[state] += 1
  }
  return counts
}

/** Latencies of the judged samples in milliseconds, ascending. What errored says nothing about the agent. */
export function latenciesOf(samples: Iterable<JudgedSample>): number[] {
  const latencies: number[] = []
  for (const { state, latencyMs } of samples) {
    if (latencyMs !== undefined && (state === 'passed' || state === 'failed')) latencies.push(latencyMs)
  }
  return latencies.toSorted((a, b) => a - b)
}

/** Of at least one value, ascending; between two values it is in proportion. */
export const quantile = (ascending: readonly number[], share: number): number =>
  quantileSorted(ascending as number[], share) ?? 0
