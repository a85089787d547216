import { ROUTES } from '@hypercode/contracts'
import { AppError, implement } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import { resolveEffect } from '../engine/effects.ts'
import type { Engine } from '../engine/engine.ts'
import { checkResponse, putEffect } from '../engine/put-effect.ts'
import { listEffects } from '../store/effects.ts'
import { fenceOf } from './fence.ts'

/** What tasks do to the world outside. */
export function effectRoutes(app: ServiceApp, engine: Engine): void {
  implement(app, ROUTES.putEffect, async (request, reply) => {
    const { id, name } = request.params
    const claim = fenceOf(request.principal, id, request.body)
    const { effect, created } = await putEffect(engine, claim, name, request.body)
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
