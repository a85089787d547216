import { isDeepStrictEqual } from 'node:util'
import { compileRegex, compileSchema } from '@hypercode/manifest'
import { lookAt, textOf } from './look-at.ts'
import type { Place } from './look-at.ts'
import type { Evidence, Judgement, ScorerOf } from './scorer.ts'

/** Scorers of what the agent said: in the output, or in an artifact. */

export const equals: ScorerOf<'equals'> = async (evidence, scorer) =>
  await onValue(evidence, scorer, (value) =>
    isDeepStrictEqual(value, scorer.value) ? right() : wrong(`expected ${shown(scorer.value)}, got ${shown(value)}`),
  )

export const contains: ScorerOf<'contains'> = async (evidence, scorer) =>
  await onValue(evidence, scorer, (value) => {
    const fold = (text: string): string => (scorer.ignoreCase === true ? text.toLowerCase() : text)
    const isIn = Array.isArray(value)
      ? value.some((item) => typeof item === 'string' && fold(item).includes(fold(scorer.text)))
      : fold(textOf(value)).includes(fold(scorer.text))
    return isIn ? right() : wrong(`${shown(scorer.text)} is not in ${shown(value)}`)
  })

export const regex: ScorerOf<'regex'> = async (evidence, scorer) =>
  await onValue(evidence, scorer, (value) =>
    compileRegex(scorer.pattern).test(textOf(value))
      ? right()
      : wrong(`${scorer.pattern} does not match ${shown(value)}`),
  )

export const schema: ScorerOf<'schema'> = async (evidence, scorer) =>
  await onValue(evidence, scorer, (value) => {
    const faults = compileSchema(scorer.schema)(value)
    return faults.length === 0 ? right() : wrong(`does not fit the schema: ${faults.join('; ')}`)
  })

export const path: ScorerOf<'path'> = async (evidence, scorer) => {
  const looked = await lookAt(evidence, scorer)
  if (scorer.exists === false)
    return looked.there && !isNone(looked.value) ? wrong(`${scorer.at} is ${shown(looked.value)}`) : right()
  if (!looked.there) return wrong(looked.why)
  if (scorer.value === undefined) return isNone(looked.value) ? wrong(`there is nothing at ${scorer.at}`) : right()
  return isDeepStrictEqual(looked.value, scorer.value)
    ? right()
    : wrong(`${scorer.at} is ${shown(looked.value)} and not ${shown(scorer.value)}`)
}

/** What a query that may give many values gives when there is none. */
const isNone = (value: unknown): boolean => Array.isArray(value) && value.length === 0

async function onValue(evidence: Evidence, place: Place, judge: (value: unknown) => Judgement): Promise<Judgement> {
  const looked = await lookAt(evidence, place)
  return looked.there ? judge(looked.value) : wrong(looked.why)
}

export const right = (): Judgement => ({ score: 1 })

export const wrong = (detail: string): Judgement => ({ score: 0, detail })

const SHOWN_MAX = 300

/** A value as a detail shows it. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX).toWellFormed()}…` : text
}
