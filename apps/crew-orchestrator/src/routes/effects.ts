import { EFFECT_RESPONSE_MAX_CHARS, ROUTES } from '@hypercode/contracts'
import type { Effect, PutEffect } from '@hypercode/contracts'
import { AppError, implement } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import { decideEffect } from '../domain/effects.ts'
import { pauseForEffect, resolveEffect } from '../engine/effects.ts'
import type { Engine } from '../engine/engine.ts'
import { EFFECTS_MAX, findEffect, listEffects, storeDone, storeIntent, takeOverIntent } from '../store/effects.ts'
import type { FenceClaim } from '../store/reports.ts'
import { fenceOf, staleError, took } from './fence.ts'

/** What tasks do to the world outside. */
export function effectRoutes(app: ServiceApp, engine: Engine): void {
  implement(app, ROUTES.putEffect, async (request, reply) => {
    const { id, name } = request.params
    const claim = fenceOf(request.principal, id, request.body)
    const { effect, created } = await (request.body.state === 'intent' ? intend : finish)(
      engine,
      claim,
      name,
      request.body,
    )
    return reply.code(created ? 201 : 200).send(effect)
  })

  implement(app, ROUTES.listEffects, async (request) => {
    const items = await listEffects(engine.db, request.principal.tenantId, request.params.id)
    if (items === undefined) throw new AppError('not_found')
    return { items }
  })

  implement(app, ROUTES.resolveEffect, async (request) => {
    const { tenantId, subject } = request.principal
    const { id, name } = request.params
    const order = { tenantId, actor: subject, taskId: id, name, answer: request.body }
    checkResponse(request.body.response)
    const { effect, saved } = await resolveEffect(engine.urgentDb, order)
    engine.after(saved)
    return effect
  })
}

interface Put {
  effect: Effect
  created: boolean
}

/** F1, F2: before an effect is done. */
async function intend(engine: Engine, claim: FenceClaim, name: string, body: PutEffect): Promise<Put> {
  const { urgentDb } = engine
  const requestHash = body.requestHash ?? null
  const { created } = took(
    engine,
    await storeIntent(urgentDb, claim, { name, idempotent: body.idempotent, requestHash }),
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
async function finish(engine: Engine, claim: FenceClaim, name: string, body: PutEffect): Promise<Put> {
  checkResponse(body.response)
  const { created } = took(engine, await storeDone(engine.urgentDb, claim, name, body.response))
  const found = await findEffect(engine.urgentDb, claim.taskId, name)
  if (found?.known.state !== 'done' || found.known.attempt !== claim.attempt) {
    throw new AppError('conflict', {
      detail: 'This attempt has not begun the effect.',
      fix: 'Write its intent before it is done.',
    })
  }
  return { effect: found.effect, created }
}

function checkResponse(response: unknown): void {
  if (JSON.stringify(response ?? null).length > EFFECT_RESPONSE_MAX_CHARS)
    throw new AppError('unprocessable', {
      detail: `The response of an effect has at most ${EFFECT_RESPONSE_MAX_CHARS} characters.`,
      fix: 'Keep what is needed of it; store what is large as an artifact.',
    })
}
