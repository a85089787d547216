import type { GateRule, Verdict } from '@hypercode/contracts'
import { mean } from 'd3-array'
import { judgeSequence } from './sequential-test.ts'
import type { SequentialDecision, SequentialRule } from './sequential-test.ts'
import { countResults, latenciesOf, quantile } from './summarize.ts'
import type { JudgedSample } from './summarize.ts'
import { wilsonInterval } from './wilson.ts'

export interface RunJudgement {
  /** Absent as long as samples that are still to come could change it. */
  readonly verdict?: Verdict
  /** What it rests on, one sentence each. */
  readonly reasons: readonly string[]
}

type ThresholdRule = Extract<GateRule, { kind: 'thresholds' }>

/** Whether one bound holds whatever the samples without a result would have been, is broken whatever they would have been, or neither. */
interface Finding {
  readonly is: 'held' | 'broken' | 'open'
  readonly reason: string
}

/**
 * Applies the rule of a run to its samples, which stand in the order of their plan.
 * - J1: a sample that errored was neither passed nor failed by the agent. A verdict is given only when it is the same either way.
 * - J2: nothing is decided while samples are to come that could change it, so a verdict before the end may end the run.
 */
export function judgeRun(rule: GateRule, samples: readonly JudgedSample[]): RunJudgement {
  return rule.kind === 'sequential' ? judgeBySequence(rule, samples) : judgeByThresholds(rule, samples)
}

function judgeBySequence(rule: SequentialRule, samples: readonly JudgedSample[]): RunJudgement {
  const decision = judgeSequence(rule, resultsInOrder(samples))
  const reasons = [describeSequence(rule, decision)]
  if (decision.verdict !== undefined) return { verdict: decision.verdict, reasons }
  return { ...(samples.every(isFinished) && { verdict: 'inconclusive' as const }), reasons }
}

/** Results up to the first sample that is still to come (T2). */
function* resultsInOrder(samples: readonly JudgedSample[]): Generator<boolean | undefined> {
  for (const sample of samples) {
    if (!isFinished(sample) || sample.state === 'skipped') return
    yield sample.state === 'errored' ? undefined : sample.state === 'passed'
  }
}

const isFinished = ({ state }: JudgedSample): boolean => state !== 'planned' && state !== 'running'

function describeSequence(rule: SequentialRule, { verdict, used, evidence }: SequentialDecision): string {
  const seen = `${used.passed} passed, ${used.failed} failed${used.unknown > 0 ? `, ${used.unknown} without a result` : ''}`
  const between = `between a true pass rate of ${rule.good} and of ${rule.bad}`
  const [low, high, toFail, toPass] = [evidence.low, evidence.high, evidence.toFail, evidence.toPass].map((log) =>
    log.toFixed(2),
  )
  const range = low === high ? low : `${low} to ${high}`
  if (verdict === 'passed' || verdict === 'failed')
    return `The sequential test decided ${between}: ${seen}; evidence ${range}, bounds ${toFail} and ${toPass}.`
  return `Not enough evidence ${between}: ${seen}; evidence ${range} is between the bounds ${toFail} and ${toPass}.`
}

function judgeByThresholds(rule: ThresholdRule, samples: readonly JudgedSample[]): RunJudgement {
  const findings = [
    overall(rule, samples),
    ...perScenario(rule, samples),
    ...latency(rule, samples),
    ...costs(rule, samples),
  ]
  const reasons = findings.map(({ reason }) => reason)
  if (findings.some(({ is }) => is === 'broken')) return { verdict: 'failed', reasons }
  if (samples.some((sample) => !isFinished(sample))) return { reasons }
  return { verdict: findings.some(({ is }) => is === 'open') ? 'inconclusive' : 'passed', reasons }
}

function overall({ passRate, confidence }: ThresholdRule, samples: readonly JudgedSample[]): Finding {
  const { passed, tried, unknown } = tallyOf(samples)
  if (tried === 0) return { is: 'open', reason: 'No sample has a result.' }
  const seen = `${passed} of ${tried} samples passed${unknown > 0 ? `, ${unknown} have no result` : ''}`
  const all = tried + unknown
  if (confidence === undefined) {
    const { is } = compare(passed / all, (passed + unknown) / all, passRate)
    return { is, reason: `${seen}; at least ${percent(passRate)} must.` }
  }
  const worst = wilsonInterval(passed, all, confidence)
  const best = wilsonInterval(passed + unknown, all, confidence)
  const is = worst.low >= passRate ? 'held' : best.high < passRate ? 'broken' : 'open'
  const interval = `${percent(worst.low)} to ${percent(best.high)} at ${percent(confidence)} confidence`
  return { is, reason: `${seen}: ${interval}; the lower end must reach ${percent(passRate)}.` }
}

function perScenario({ perScenario: least = 0 }: ThresholdRule, samples: readonly JudgedSample[]): Finding[] {
  if (least === 0) return []
  return Array.from(
    Map.groupBy(samples, ({ scenario }) => scenario),
    ([id, of]): Finding => {
      const { passed, tried, unknown } = tallyOf(of)
      const { is } = compare(passed / (tried + unknown), (passed + unknown) / (tried + unknown), least)
      return { is, reason: `${id}: ${passed} of ${tried} passed; at least ${percent(least)} of each scenario must.` }
    },
  ).filter(({ is }) => is !== 'held')
}

function latency({ maxP95Ms }: ThresholdRule, samples: readonly JudgedSample[]): Finding[] {
  if (maxP95Ms === undefined) return []
  const latencies = latenciesOf(samples)
  if (latencies.length === 0) return [{ is: 'open', reason: 'No sample has a latency.' }]
  const p95Ms = quantile(latencies, 0.95)
  // The slowest may still come, and the quickest too: only the end of the run tells.
  const isOver = p95Ms > maxP95Ms
  const is = isOver ? (samples.every(isFinished) ? 'broken' : 'open') : 'held'
  return [{ is, reason: `95 % of the samples took at most ${Math.round(p95Ms)} ms; the limit is ${maxP95Ms} ms.` }]
}

function costs({ maxUsdPerSample }: ThresholdRule, samples: readonly JudgedSample[]): Finding[] {
  if (maxUsdPerSample === undefined) return []
  const usd = mean(
    samples.filter(({ state }) => state === 'passed' || state === 'failed').map((sample) => sample.usd ?? 0),
  )
  if (usd === undefined) return []
  const isOver = usd > maxUsdPerSample
  const is = isOver ? (samples.every(isFinished) ? 'broken' : 'open') : 'held'
  return [{ is, reason: `A sample cost ${usd.toFixed(4)} USD on average; the limit is ${maxUsdPerSample} USD.` }]
}

interface Tally {
  readonly passed: number
  readonly tried: number
  /** Errored, skipped, or still to come. */
  readonly unknown: number
}

function tallyOf(samples: readonly JudgedSample[]): Tally {
  const { passed, failed } = countResults(samples)
  const tried = passed + failed
  return { passed, tried, unknown: samples.length - tried }
}

const compare = (worst: number, best: number, least: number): Pick<Finding, 'is'> => ({
  is: worst >= least ? 'held' : best < least ? 'broken' : 'open',
})

const percent = (share: number): string => `${Number((share * 100).toFixed(1))} %`
