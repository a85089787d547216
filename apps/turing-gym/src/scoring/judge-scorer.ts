import { lookAt } from './look-at.ts'
import { ScoringFault } from './scorer.ts'
import type { ScorerOf } from './scorer.ts'
import { wrong } from './value-scorers.ts'

/** Asks the judge. Without a model there is no verdict. */
export const judge: ScorerOf<'judge'> = async (evidence, scorer, tools) => {
  if (tools.judge === undefined) throw new ScoringFault('no model is configured that could judge')
  const looked = await lookAt(evidence, scorer)
  if (!looked.there) return wrong(looked.why)
  return await tools.judge.grade({ rubric: scorer.rubric, value: looked.value, pass: scorer.pass ?? 1 }, tools.signal)
}
