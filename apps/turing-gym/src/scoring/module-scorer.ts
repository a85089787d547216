import { ScoringFault } from './scorer.ts'
import type { Judgement, ScorerOf } from './scorer.ts'

/** How long one module may think about one sample. */
const TIMEOUT_MS = 60_000

/** Asks a scorer module. What it throws, and an answer that is no judgement, is its own fault and not the agent's. */
export const module: ScorerOf<'module'> = async (evidence, scorer, { modules, signal }) => {
  const loaded = modules.get(scorer.module)
  if (loaded === undefined) throw new ScoringFault(`this gym has no scorer module "${scorer.module}"`)
  const [fault] = loaded.optionFaults(scorer.options)
  if (fault !== undefined) throw new ScoringFault(`the options of "${scorer.module}": ${fault}`)
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
  const judged = await atMost(
    bounded,
    async () => await loaded.scorer.score(evidence, scorer.options, { signal: bounded }),
  )
  if (!isJudgement(judged)) throw new ScoringFault(`the scorer module "${scorer.module}" gave no score from 0 to 1`)
  return judged
}

async function atMost<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const stopped = Promise.withResolvers<never>()
  const stop = (): void => stopped.reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    signal.throwIfAborted()
    return await Promise.race([work(), stopped.promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

function isJudgement(value: unknown): value is Judgement {
  if (typeof value !== 'object' || value === null || !('score' in value) || typeof value.score !== 'number')
    return false
  const detail = 'detail' in value ? value.detail : undefined
  return value.score >= 0 && value.score <= 1 && (detail === undefined || typeof detail === 'string')
}
