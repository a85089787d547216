import { setTimeout as sleep } from 'node:timers/promises'
import { ROUTES } from '@hypercode/contracts'
import type { Fault, Instance } from '@hypercode/contracts'
import { AppError, checkIdCursor, implement, pageOf } from '@hypercode/http'
import type { Principal, ServiceApp } from '@hypercode/http'
import { contentHash } from '@hypercode/manifest'
import { envNameFault } from '../domain/env-rules.ts'
import type { RequestName } from '../domain/requests.ts'
import { assemble } from '../engine/assemble.ts'
import type { Fleet } from '../engine/fleet.ts'
import { noBlueprint, noInstance } from '../engine/not-there.ts'
import { requestChange } from '../engine/requests.ts'
import { spawn } from '../engine/spawn.ts'
import { findBlueprint } from '../store/blueprints.ts'
import { listInstances, readInstances } from '../store/instances.ts'
import type { InstanceRecord } from '../store/instances.ts'
import { viewInstance } from './views.ts'

const PAGE_SIZE = 50
const POLL_MS = 50
const ASSEMBLY_WAIT_MS = 15_000
/** How long the database may be away before a spawn that is done is answered with an error. */
const PATIENCE_MS = 10_000

/** Spawning, reading and steering instances, and bringing up crews. */
export function instanceRoutes(app: ServiceApp, fleet: Fleet): void {
  const { db } = fleet
  const read = async (tenantId: string, id: string): Promise<Instance> => {
    const [found] = await readInstances(db, tenantId, [id])
    if (found === undefined) throw noInstance(id)
    return viewInstance(found)
  }
  const carryOut = async (
    { tenantId, subject: actor }: Principal,
    id: string,
    name: RequestName,
  ): Promise<Instance> => {
    await requestChange(fleet, { name, tenantId, id, actor })
    return await read(tenantId, id)
  }

  implement(app, ROUTES.spawnInstances, async ({ principal, params, headers, body }, reply) => {
    const { tenantId, subject: actor } = principal
    const { count = 1, pool, labels, env, waitMs = 0 } = body ?? {}
    refuseEnv(env)
    const blueprint = await findBlueprint(db, tenantId, params.name, params.version)
    if (blueprint === undefined) throw await noSuchVersion(fleet, tenantId, params)
    const key = headers['idempotency-key']
    // How long to wait is no part of what is asked for, and neither is what an alias means today.
    const once = key === undefined ? undefined : { key, requestHash: contentHash([params, count, pool, labels, env]) }
    const wanted = { count, origin: 'spawned', pool, labels, env, actor, once } as const
    const { ids, replayed } = await spawn(fleet, blueprint, wanted)
    if (replayed) reply.header('idempotency-replayed', 'true')
    const instances = await settled(fleet, tenantId, ids, {
      waitMs,
      signal: app.drainSignal,
      isUnavailable: app.isUnavailable,
    })
    return reply.code(201).send({ instances: instances.map(viewInstance) })
  })

  implement(app, ROUTES.listInstances, async ({ principal, query }) => {
    const { limit = PAGE_SIZE, cursor, ...filter } = query
    checkIdCursor(cursor)
    const rows = await listInstances(db, principal.tenantId, filter, { limit: limit + 1, below: cursor })
    const page = pageOf({ rows, cut: false }, limit, (last) => last.id)
    return { ...page, items: page.items.map(viewInstance) }
  })

  implement(app, ROUTES.getInstance, async ({ principal, params }) => await read(principal.tenantId, params.id))
  implement(app, ROUTES.endInstance, async ({ principal, params }) => await carryOut(principal, params.id, 'stop'))
  implement(app, ROUTES.restartInstance, async ({ principal, params, body }) => {
    return await carryOut(principal, params.id, body?.kill === true ? 'kill' : 'restart')
  })
  implement(app, ROUTES.hibernateInstance, async ({ principal, params }) => {
    return await carryOut(principal, params.id, 'hibernate')
  })
  implement(app, ROUTES.wakeInstance, async ({ principal, params }) => await carryOut(principal, params.id, 'wake'))
  implement(
    app,
    ROUTES.releaseInstance,
    async ({ principal, params }) => await carryOut(principal, params.id, 'release'),
  )

  implement(app, ROUTES.assembleCrew, async ({ principal, params, body }) => {
    const { tenantId, subject: actor } = principal
    const { version, waitMs = ASSEMBLY_WAIT_MS } = body ?? {}
    return await assemble(fleet, { tenantId, actor, crew: params.name, version, waitMs, signal: app.drainSignal })
  })
}

function refuseEnv(env: Readonly<Record<string, string>> | undefined): void {
  const faults = Object.keys(env ?? {}).flatMap((name): Fault[] => {
    const fault = envNameFault(name)
    return fault === undefined ? [] : [{ pointer: `/env/${name}`, ...fault }]
  })
  if (faults.length > 0) throw new AppError('unprocessable', { detail: 'Some variables cannot be set.', faults })
}

/** A blueprint without a stable version is there, and says what it lacks. */
async function noSuchVersion(
  { db }: Fleet,
  tenantId: string,
  { name, version }: { name: string; version: string },
): Promise<AppError> {
  const latest = await findBlueprint(db, tenantId, name, 'latest')
  if (latest === undefined || version !== 'stable') return noBlueprint(name, version)
  return new AppError('conflict', {
    detail: `No version of ${name} is stable; the latest is ${latest.version}.`,
    fix: `Run its gym suites, then POST /v1/blueprints/${name}/versions/${latest.version}:promote.`,
  })
}

const isSettled = ({ lifecycle, endedAt }: InstanceRecord): boolean =>
  lifecycle === 'ready' || lifecycle === 'quarantined' || endedAt !== null

interface Wait {
  readonly waitMs: number
  readonly signal: AbortSignal
  readonly isUnavailable: (error: unknown) => boolean
}

/**
 * The instances as soon as all are ready, or can no longer become it, and at the latest after `waitMs`. They are made by now: a database
 * that is away for a moment is waited for, lest the caller hears of a failure and makes them once more.
 */
async function settled(
  { db }: Fleet,
  tenantId: string,
  ids: readonly string[],
  { waitMs, signal, isUnavailable }: Wait,
): Promise<InstanceRecord[]> {
  const untilMs = performance.now() + waitMs
  const patientUntilMs = Math.max(untilMs, performance.now() + PATIENCE_MS)
  for (;;) {
    try {
      const instances = await readInstances(db, tenantId, ids)
      if (instances.every(isSettled) || performance.now() >= untilMs || signal.aborted) return instances
    } catch (error) {
      if (!isUnavailable(error) || performance.now() >= patientUntilMs || signal.aborted) throw error
    }
    await sleep(POLL_MS)
  }
}
