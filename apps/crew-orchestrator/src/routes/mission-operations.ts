import { ROUTES } from '@hypercode/contracts'
import type { ForkMission, Mission } from '@hypercode/contracts'
import { AppError, implement } from '@hypercode/http'
import type { Principal, ServiceApp } from '@hypercode/http'
import { currentContext } from '@hypercode/telemetry'
import type { FastifyReply } from 'fastify'
import { orderAgain } from '../engine/again.ts'
import type { Engine } from '../engine/engine.ts'
import type { PlanSource } from '../engine/plans.ts'

interface AgainRequest {
  readonly principal: Principal
  readonly id: string
  readonly params: { readonly id: string }
  readonly headers: { readonly 'idempotency-key'?: string }
}

/** Missions that do another one again. */
export function missionOperationRoutes(app: ServiceApp, engine: Engine, plans: PlanSource): void {
  const again = async (request: AgainRequest, reply: FastifyReply, fork: ForkMission | undefined): Promise<Mission> => {
    const { tenantId, subject } = request.principal
    await engine.openMissions.admit(tenantId, 1)
    const order = await orderAgain(engine.db, plans, {
      tenantId,
      actor: subject,
      missionId: request.params.id,
      fork,
      idempotencyKey: request.headers['idempotency-key'],
      correlationId: request.id,
      traceparent: currentContext().traceparent ?? null,
    })
    const { id, replayed } = await engine.submit(order)
    const mission = await engine.missions.submit({ tenantId, id })
    if (mission === undefined) throw new AppError('not_found')
    if (replayed) reply.header('idempotency-replayed', 'true')
    reply.code(202).header('location', `/v1/missions/${id}`)
    return mission
  }
  implement(app, ROUTES.retryMission, (request, reply) => again(request, reply, undefined))
  implement(app, ROUTES.forkMission, (request, reply) => again(request, reply, request.body))
}
