import { ROUTES } from '@hypercode/contracts'
import type { Mission, SubmitMission } from '@hypercode/contracts'
import { AppError, badCursor, checkIdCursor, implement, pageOf, problemOf } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import { currentContext } from '@hypercode/telemetry'
import { isMissionTerminal } from '../domain/states.ts'
import { canonical, hashText } from '@hypercode/manifest'
import { cancelMission } from '../engine/cancel.ts'
import { planTasks } from '../engine/plan-tasks.ts'
import { signalMission } from '../engine/signal.ts'
import type { Engine } from '../engine/engine.ts'
import { pauseMission, resumeMission } from '../engine/pause.ts'
import type { PlanSource, PlannedCrew } from '../engine/plans.ts'
import type { SubmitOrder, SubmitResult } from '../engine/submit.ts'
import type { FastifyRequest } from 'fastify'
import { listMissions, missionExists, readJournal } from '../store/read-missions.ts'
import { readMissionManifest } from '../store/plans.ts'
import { listArtifacts, listTasks } from '../store/read-tasks.ts'
import { readCosts } from '../store/usage.ts'
import { staleError } from '../engine/fenced.ts'
import { fenceOf } from './fence.ts'
import { hangUpOf } from './hang-up.ts'
import { beginInSlices } from './in-slices.ts'
import { preferredWaitMs } from './prefer-wait.ts'

export function missionRoutes(app: ServiceApp, engine: Engine, plans: PlanSource): void {
  submitRoutes(app, engine, plans)
  readRoutes(app, engine)

  implement(app, ROUTES.cancelMission, async (request) => {
    const { tenantId, subject } = request.principal
    engine.after(
      await cancelMission(engine.urgentDb, {
        tenantId,
        missionId: request.params.id,
        actor: subject,
        reason: request.body?.reason,
      }),
    )
    return await found(engine, tenantId, request.params.id)
  })

  implement(app, ROUTES.pauseMission, async (request) => {
    const { tenantId, subject } = request.principal
    engine.after(await pauseMission(engine.urgentDb, { tenantId, missionId: request.params.id, actor: subject }))
    return await found(engine, tenantId, request.params.id)
  })

  implement(app, ROUTES.resumeMission, async (request) => {
    const { tenantId, subject } = request.principal
    engine.after(
      await resumeMission(engine.urgentDb, {
        tenantId,
        missionId: request.params.id,
        actor: subject,
        budget: request.body?.budget,
      }),
    )
    return await found(engine, tenantId, request.params.id)
  })

  implement(app, ROUTES.planTasks, async ({ principal, params, body }, reply) => {
    const manifest = await readMissionManifest(engine.db, principal.tenantId, params.id)
    if (manifest === undefined) throw new AppError('not_found')
    const { tasks } = await plans.planWithin(principal.tenantId, manifest, body.tasks)
    const { manager } = manifest.spec
    const ofManager = new Set(body.tasks.filter(({ member }) => member === manager).map(({ id }) => id))
    const fence = fenceOf(principal, body.taskId, body)
    const planned = await planTasks(engine.urgentDb, fence, params.id, { name: body.name, tasks, ofManager })
    if (planned === undefined) throw staleError()
    engine.after(planned.saved)
    return reply.code(planned.created ? 201 : 200).send(planned.answer)
  })

  implement(app, ROUTES.signalMission, async (request, reply) => {
    const { tenantId, subject } = request.principal
    const { answer, saved } = await signalMission(engine.urgentDb, {
      tenantId,
      missionId: request.params.id,
      actor: subject,
      signal: request.body,
      idempotencyKey: request.headers['idempotency-key'],
    })
    engine.after(saved)
    return reply.code(answer.taskId === undefined ? 202 : 200).send(answer)
  })
}

function submitRoutes(app: ServiceApp, engine: Engine, plans: PlanSource): void {
  implement(app, ROUTES.submitMission, async (request, reply) => {
    const { tenantId } = request.principal
    await engine.openMissions.admit(tenantId, 1)
    const key = request.headers['idempotency-key']
    const { id, replayed, state } = await submitOne(engine, plans, request, request.body, key)
    if (replayed) reply.header('idempotency-replayed', 'true')
    const waitMs = preferredWaitMs(request.headers.prefer)
    if (waitMs !== undefined) reply.header('preference-applied', `wait=${waitMs / 1000}`)
    const mission = await engine.waiters.wait({
      tenantId,
      id,
      waitMs: waitMs ?? 0,
      signal: hangUpOf(request, reply),
      isOpen: !replayed && state !== undefined && !isMissionTerminal(state),
    })
    if (mission === undefined) throw new AppError('not_found')
    return reply
      .code(waitMs !== undefined && isMissionTerminal(mission.state) ? 200 : 202)
      .header('location', `/v1/missions/${id}`)
      .send(mission)
  })

  implement(app, ROUTES.submitMissions, async (request) => {
    const { missions } = request.body
    await engine.openMissions.admit(request.principal.tenantId, missions.length)
    const results = await beginInSlices(missions, async ({ idempotencyKey, ...mission }) =>
      submitOne(engine, plans, request, mission, idempotencyKey),
    )
    // One mission that is at fault harms no other; a server that is away harms all, and says so.
    const broken = results.find((result) => result.status === 'rejected' && !(result.reason instanceof AppError))
    if (broken?.status === 'rejected') throw broken.reason
    return {
      results: results.map((result) => {
        if (result.status === 'rejected')
          return { replayed: false, problem: problemOf(result.reason as AppError, request.id) }
        return {
          id: result.value.id,
          replayed: result.value.replayed,
          ...(result.value.state === undefined ? {} : { state: result.value.state }),
        }
      }),
    }
  })
}

function readRoutes(app: ServiceApp, engine: Engine): void {
  implement(app, ROUTES.getMission, async (request, reply) => {
    const waitMs = preferredWaitMs(request.headers.prefer) ?? 0
    const { tenantId } = request.principal
    const mission = await engine.waiters.wait({
      tenantId,
      id: request.params.id,
      waitMs,
      signal: hangUpOf(request, reply),
    })
    if (mission === undefined) throw new AppError('not_found')
    return reply.header('etag', `"${mission.version}"`).send(mission)
  })

  implement(app, ROUTES.listMissions, async (request) => {
    const { limit = 50, label, ...filter } = request.query
    const pair =
      label === undefined
        ? undefined
        : ([label.slice(0, label.indexOf('=')), label.slice(label.indexOf('=') + 1)] as [string, string])
    checkIdCursor(filter.cursor)
    return pageOf(
      await listMissions(engine.db, request.principal.tenantId, { ...filter, label: pair, limit: limit + 1 }),
      limit,
      (mission) => mission.id,
    )
  })

  implement(app, ROUTES.listMissionTasks, async (request) => {
    const { limit = 50, cursor } = request.query
    checkIdCursor(cursor)
    await mustExist(engine, request.principal.tenantId, request.params.id)
    return pageOf(await listTasks(engine.db, request.params.id, limit + 1, cursor), limit, (task) => task.id)
  })

  implement(app, ROUTES.getMissionJournal, async (request) => {
    const { limit = 50, cursor = '0' } = request.query
    if (!/^\d{1,9}$/.test(cursor)) throw badCursor()
    await mustExist(engine, request.principal.tenantId, request.params.id)
    const entries = await readJournal(engine.db, request.params.id, limit + 1, Number(cursor))
    return pageOf(entries, limit, () => String(Number(cursor) + Math.min(limit, entries.rows.length)))
  })

  implement(app, ROUTES.getMissionCosts, async (request) => {
    const costs = await readCosts(engine.db, request.principal.tenantId, request.params.id)
    if (costs === undefined) throw new AppError('not_found')
    return costs
  })

  implement(app, ROUTES.listMissionArtifacts, async (request) => {
    const { limit = 50, cursor } = request.query
    checkIdCursor(cursor)
    await mustExist(engine, request.principal.tenantId, request.params.id)
    return pageOf(
      { rows: await listArtifacts(engine.db, request.params.id, limit + 1, cursor), cut: false },
      limit,
      (artifact) => artifact.id,
    )
  })
}

const submitOne = async (
  engine: Engine,
  plans: PlanSource,
  request: Pick<FastifyRequest, 'principal' | 'id'>,
  body: SubmitMission,
  idempotencyKey: string | undefined,
): Promise<SubmitResult> =>
  await plans.fromMemory(request.principal.tenantId, body, async (source) =>
    engine.submit(orderOf(source, request, body, idempotencyKey)),
  )

function orderOf(
  source: PlannedCrew,
  { principal, id: correlationId }: Pick<FastifyRequest, 'principal' | 'id'>,
  body: SubmitMission,
  idempotencyKey: string | undefined,
): SubmitOrder {
  const request = canonical(body)
  return {
    tenantId: principal.tenantId,
    createdBy: principal.subject,
    ...source,
    input: body.input ?? null,
    priority: body.priority ?? 0,
    labels: body.labels ?? {},
    budget: body.budget,
    idempotencyKey: idempotencyKey ?? null,
    requestHash: hashText(request),
    requestChars: request.length,
    correlationId,
    traceparent: currentContext().traceparent ?? null,
  }
}

async function found(engine: Engine, tenantId: string, id: string): Promise<Mission> {
  const mission = await engine.missions.submit({ tenantId, id })
  if (mission === undefined) throw new AppError('not_found')
  return mission
}

async function mustExist(engine: Engine, tenantId: string, id: string): Promise<void> {
  if (!(await missionExists(engine.db, tenantId, id))) throw new AppError('not_found')
}
