/** What a running attempt says about an effect that it has outside: that it begins, and that it was done. */
import { EFFECT_RESPONSE_MAX_CHARS } from '@hypercode/contracts'
import type { Effect, PutEffect } from '@hypercode/contracts'
import { AppError } from '@hypercode/http'
import { decideEffect } from '../domain/effects.ts'
import { EFFECTS_MAX, findEffect, storeDone, storeIntent, takeOverIntent } from '../store/effects.ts'
import type { FenceClaim } from '../store/reports.ts'
import { pauseForEffect } from './effects.ts'
import type { Engine } from './engine.ts'
import { staleError, took } from './fenced.ts'

export interface EffectPut {
  effect: Effect
  created: boolean
}

type Writer = Pick<Engine, 'urgentDb' | 'after'>

export type EffectWords = Pick<PutEffect, 'state' | 'idempotent' | 'requestHash' | 'response'>

/** Throws 409 when the fence does not hold, or when nobody knows whether the effect has happened: its task then waits for a person. */
export const putEffect = (engine: Writer, claim: FenceClaim, name: string, words: EffectWords): Promise<EffectPut> =>
  (words.state === 'intent' ? intend : finish)(engine, claim, name, words)

/** F1, F2: before an effect is done. */
async function intend(engine: Writer, claim: FenceClaim, name: string, words: EffectWords): Promise<EffectPut> {
  const { urgentDb } = engine
  const requestHash = words.requestHash ?? null
  const { created } = took(
    engine,
    await storeIntent(urgentDb, claim, { name, idempotent: words.idempotent, requestHash }),
  )
  const found = await findEffect(urgentDb, claim.taskId, name)
  if (found === undefined)
    throw new AppError('unprocessable', { detail: `A task does at most ${EFFECTS_MAX} effects.` })
  if (created) return { ...found, created }
  const decision = decideEffect(found.known, claim.attempt, requestHash)
  if (decision === 'mismatch') {
    throw new AppError('idempotency_mismatch', {
      detail: 'The effect was begun with another request.',
      fix: 'Give an effect that does something else another name.',
    })
  }
  if (decision === 'unknown') {
    const saved = await pauseForEffect(urgentDb, claim, name)
    if (saved === undefined) throw staleError()
    engine.after(saved)
    throw new AppError('effect_unknown')
  }
  if (decision === 'again') took(engine, await takeOverIntent(urgentDb, claim, name))
  return { effect: { ...found.effect, ...(decision === 'again' ? { attempt: claim.attempt } : {}) }, created: false }
}

/** After it was done. A repeat answers what was written the first time. */
async function finish(engine: Writer, claim: FenceClaim, name: string, words: EffectWords): Promise<EffectPut> {
  checkResponse(words.response)
  const { created } = took(engine, await storeDone(engine.urgentDb, claim, name, words.response))
  const found = await findEffect(engine.urgentDb, claim.taskId, name)
  if (found?.known.state !== 'done' || found.known.attempt !== claim.attempt) {
    throw new AppError('conflict', {
      detail: 'This attempt has not begun the effect.',
      fix: 'Write its intent before it is done.',
    })
  }
  return { effect: found.effect, created }
}

export function checkResponse(response: unknown): void {
  if (JSON.stringify(response ?? null).length > EFFECT_RESPONSE_MAX_CHARS)
    throw new AppError('unprocessable', {
      detail: `The response of an effect has at most ${EFFECT_RESPONSE_MAX_CHARS} characters.`,
      fix: 'Keep what is needed of it; store what is large as an artifact.',
    })
}
