import type { Score, Scorer } from '@hypercode/contracts'
import { command } from './command-scorer.ts'
import { fileContains, fileEquals, fileExists } from './file-scorers.ts'
import { judge } from './judge-scorer.ts'
import { cost, latency, outcome, tokens } from './measure-scorers.ts'
import { module } from './module-scorer.ts'
import { resilience } from './resilience-scorer.ts'
import { ScoringFault } from './scorer.ts'
import type { Evidence, Judgement, SampleScore, ScoreTools, ScorerOf } from './scorer.ts'
import { steps, toolCalls } from './sequence-scorers.ts'
import { contains, equals, path, regex, schema } from './value-scorers.ts'

const SCORERS: { readonly [K in Scorer['kind']]: ScorerOf<K> } = {
  equals,
  contains,
  regex,
  schema,
  path,
  'file-exists': fileExists,
  'file-contains': fileContains,
  'file-equals': fileEquals,
  command,
  'tool-calls': toolCalls,
  steps,
  latency,
  tokens,
  cost,
  outcome,
  resilience,
  judge,
  module,
}

/**
 * Judges one sample by all scorers of its scenario. Where none of them looks at the outcome, the task must have completed too: an agent
 * that gives up at once is quick and cheap.
 *
 * @throws {ScoringFault} when it cannot be judged; the sample is `errored` then
 */
export async function scoreSample(
  evidence: Evidence,
  scorers: readonly Scorer[],
  tools: ScoreTools,
): Promise<SampleScore> {
  const all: readonly Scorer[] = scorers.some(({ kind }) => kind === 'outcome')
    ? scorers
    : [{ kind: 'outcome', is: 'completed', weight: 0 }, ...scorers]
  const scores: Score[] = []
  for (const scorer of all) scores.push(await score(evidence, scorer, tools, nameOf(scorer, scorers.indexOf(scorer))))
  return { passed: scores.every(({ passed }) => passed), score: weightedMean(all, scores), scores }
}

/**
 * Judges a sample by one scorer.
 *
 * @param name of the scorer in the result
 * @throws {ScoringFault} when it cannot be judged
 */
export async function score(
  evidence: Evidence,
  scorer: Scorer,
  tools: ScoreTools,
  name: string = scorer.kind,
): Promise<Score> {
  const { score: given, detail } = await judgedBy(evidence, scorer, tools, name)
  const pass = ('pass' in scorer ? scorer.pass : undefined) ?? 1
  return {
    scorer: name,
    kind: scorer.kind,
    score: given,
    passed: given >= pass,
    ...(detail !== undefined && { detail: storable(detail) }),
  }
}

async function judgedBy(evidence: Evidence, scorer: Scorer, tools: ScoreTools, name: string): Promise<Judgement> {
  // Each kind is only ever given scorers of its own, which the type of the table cannot say of a union.
  const judgeIt = SCORERS[scorer.kind] as ScorerOf<Scorer['kind']>
  try {
    tools.signal.throwIfAborted()
    return await judgeIt(evidence, scorer, tools)
  } catch (error) {
    tools.signal.throwIfAborted()
    throw new ScoringFault(`${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

const DETAIL_MAX_CHARS = 4000

/** Details quote agents, and Postgres takes neither NUL nor half a character. */
const storable = (detail: string): string =>
  detail.replaceAll('\0', '\u{fffd}').slice(0, DETAIL_MAX_CHARS).toWellFormed()

const nameOf = ({ name, kind }: Scorer, place: number): string => name ?? (place === -1 ? kind : `${kind}-${place + 1}`)

function weightedMean(scorers: readonly Scorer[], scores: readonly Score[]): number {
  const weights = scorers.map(({ weight = 1 }) => weight)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  if (total === 0) return Math.min(...scores.map(({ score: given }) => given))
  return scores.reduce((sum, { score: given }, index) => sum + given * (weights[index] ?? 0), 0) / total
}
