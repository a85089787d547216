import type { GymComparison } from '@hypercode/contracts'
import { fisherExact, mcNemarExact, smallestFisher } from './exact-tests.ts'
import type { TwoGroups } from './exact-tests.ts'
import { countResults } from './summarize.ts'
import type { JudgedSample } from './summarize.ts'
import { wilsonInterval } from './wilson.ts'

export interface ComparableRun {
  readonly id: string
  readonly samples: readonly JudgedSample[]
}

export interface ComparisonOptions {
  /** Chance of calling two equal versions different. Default 0.05. */
  readonly alpha?: number
  /** Pass rates that are no further apart than this count as the same. Default 0.1. */
  readonly margin?: number
}

type ScenarioChange = GymComparison['scenarios'][number]

/**
 * What changed from `baseline` to `run`.
 * - C1: the verdict comes from McNemar's test over the samples that both runs have: same scenario, same repetition. Hard and easy scenarios
 *   stay apart in it, and two equal versions are called different with a chance of at most `alpha`.
 * - C2: `same` needs evidence too: the interval of the difference lies within `margin`.
 * - C3: scenarios are `better` or `worse` by Fisher's test, with the alpha shared among those that could show a difference at all
 *   (Tarone). One that passes at times and fails at times, without evidence of a change, is `flaky`.
 */
export function compareRuns(
  run: ComparableRun,
  baseline: ComparableRun,
  { alpha = 0.05, margin = 0.1 }: ComparisonOptions = {},
): GymComparison {
  const pairs = pairsOf(run, baseline)
  const lost = pairs.filter(({ before, after }) => before && !after).length
  const gained = pairs.filter(({ before, after }) => !before && after).length
  const pValue = mcNemarExact(lost, gained)
  return {
    runId: run.id,
    baselineId: baseline.id,
    verdict:
      pValue <= alpha ? (gained > lost ? 'better' : 'worse') : isSame(pairs, margin) ? 'same' : 'not_enough_evidence',
    pValue,
    scenarios: scenarioChanges(run, baseline, alpha),
  }
}

interface Pair {
  readonly before: boolean
  readonly after: boolean
}

function pairsOf(run: ComparableRun, baseline: ComparableRun): Pair[] {
  const keyOf = ({ scenario, repetition }: JudgedSample): string => `${scenario} ${repetition}`
  const before = new Map(baseline.samples.filter(isJudged).map((sample) => [keyOf(sample), sample.state === 'passed']))
  return run.samples.filter(isJudged).flatMap((sample) => {
    const was = before.get(keyOf(sample))
    return was === undefined ? [] : [{ before: was, after: sample.state === 'passed' }]
  })
}

const isJudged = ({ state }: JudgedSample): boolean => state === 'passed' || state === 'failed'

/** Newcombe's interval of the difference of two rates, from the Wilson intervals of both, lies within the margin. */
function isSame(pairs: readonly Pair[], margin: number): boolean {
  const [before, after] = [pairs.filter((pair) => pair.before).length, pairs.filter((pair) => pair.after).length]
  const [was, is] = [wilsonInterval(before, pairs.length), wilsonInterval(after, pairs.length)]
  if (pairs.length === 0) return false
  const [wasRate, isRate] = [before / pairs.length, after / pairs.length]
  const down = isRate - wasRate - Math.hypot(isRate - is.low, was.high - wasRate)
  const up = isRate - wasRate + Math.hypot(is.high - isRate, wasRate - was.low)
  return down >= -margin && up <= margin
}

function scenarioChanges(run: ComparableRun, baseline: ComparableRun, alpha: number): ScenarioChange[] {
  const [before, after] = [groupsOf(baseline), groupsOf(run)]
  const shared = [...after.keys()].flatMap((id) => {
    const groups = { before: before.get(id), after: after.get(id) }
    return groups.before === undefined || groups.after === undefined
      ? []
      : [{ id, before: groups.before, after: groups.after }]
  })
  const level = taroneLevel(shared, alpha)
  return [
    ...shared.map((groups) => ({
      id: groups.id,
      change: changeOf(groups, level),
      ...rateAs('before', groups.before),
      ...rateAs('after', groups.after),
    })),
    ...[...after]
      .filter(([id]) => !before.has(id))
      .map(([id, of]) => ({ id, change: 'added' as const, ...rateAs('after', of) })),
    ...[...before]
      .filter(([id]) => !after.has(id))
      .map(([id, of]) => ({ id, change: 'removed' as const, ...rateAs('before', of) })),
  ]
}

type Group = TwoGroups['before']

function groupsOf({ samples }: ComparableRun): Map<string, Group> {
  const byScenario = Map.groupBy(samples, ({ scenario }) => scenario)
  return new Map(
    Array.from(byScenario, ([id, of]) => {
      const { passed, failed } = countResults(of)
      return [id, { passed, tried: passed + failed }]
    }),
  )
}

function changeOf(groups: TwoGroups, level: number): ScenarioChange['change'] {
  const { before, after } = groups
  if (fisherExact(groups) <= level) return rateOf(after) > rateOf(before) ? 'better' : 'worse'
  const passed = before.passed + after.passed
  return passed > 0 && passed < before.tried + after.tried ? 'flaky' : 'same'
}

/** The level for each of many tests, by which none of them is wrong with a chance of more than `alpha` together. */
function taroneLevel(scenarios: readonly TwoGroups[], alpha: number): number {
  const smallest = scenarios.map(smallestFisher)
  let shares = 1
  while (smallest.filter((p) => p <= alpha / shares).length > shares) shares += 1
  return alpha / shares
}

const rateOf = ({ passed, tried }: Group): number => (tried === 0 ? 0 : passed / tried)

/** No rate where nothing was judged. */
const rateAs = (key: 'before' | 'after', group: Group): Partial<Record<'before' | 'after', number>> =>
  group.tried === 0 ? {} : { [key]: rateOf(group) }
