import { ROUTES } from '@hypercode/contracts'
import { AppError, checkIdCursor, implement, pageOf } from '@hypercode/http'
import type { Principal, ServiceApp } from '@hypercode/http'
import type { Engine } from '../engine/engine.ts'
import type { Schedules } from '../engine/schedules.ts'
import { findSchedule, listSchedules } from '../store/schedules.ts'

export function scheduleRoutes(app: ServiceApp, engine: Engine, schedules: Schedules): void {
  implement(app, ROUTES.createSchedule, async (request, reply) => {
    const schedule = await schedules.create({ ...orderOf(request.principal), spec: request.body })
    return reply.code(201).header('location', `/v1/schedules/${schedule.id}`).send(schedule)
  })

  implement(app, ROUTES.listSchedules, async (request) => {
    const { limit = 50, cursor } = request.query
    checkIdCursor(cursor)
    const rows = await listSchedules(engine.db, request.principal.tenantId, limit + 1, cursor)
    return pageOf({ rows, cut: false }, limit, (schedule) => schedule.id)
  })

  implement(app, ROUTES.getSchedule, async (request) => {
    const schedule = await findSchedule(engine.db, request.principal.tenantId, request.params.id)
    if (schedule === undefined) throw new AppError('not_found')
    return schedule
  })

  implement(app, ROUTES.updateSchedule, async (request) =>
    schedules.replace({ ...orderOf(request.principal), id: request.params.id, spec: request.body }),
  )

  implement(app, ROUTES.deleteSchedule, async (request, reply) => {
    await schedules.remove({ ...orderOf(request.principal), id: request.params.id })
    return reply.code(204).send()
  })

  implement(app, ROUTES.pauseSchedule, async (request) =>
    schedules.pause({ ...orderOf(request.principal), id: request.params.id }),
  )

  implement(app, ROUTES.resumeSchedule, async (request) =>
    schedules.resume({ ...orderOf(request.principal), id: request.params.id }),
  )

  implement(app, ROUTES.triggerSchedule, async (request, reply) => {
    const { id } = await schedules.trigger({ ...orderOf(request.principal), id: request.params.id })
    const mission = await engine.missions.submit({ tenantId: request.principal.tenantId, id })
    if (mission === undefined) throw new AppError('not_found')
    return reply.code(202).header('location', `/v1/missions/${id}`).send(mission)
  })
}

const orderOf = ({ tenantId, subject }: Principal) => ({ tenantId, actor: subject })
