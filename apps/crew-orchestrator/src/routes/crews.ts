import { ROUTES } from '@hypercode/contracts'
import { AppError, implement, pageOf } from '@hypercode/http'
import type { Principal, ServiceApp } from '@hypercode/http'
import { broadcast, disband } from '../engine/crew-orders.ts'
import type { CrewOrder } from '../engine/crew-orders.ts'
import type { Engine } from '../engine/engine.ts'
import { contentHash } from '@hypercode/manifest'
import { dependenciesOf, waves } from '../manifest/graph.ts'
import { parseManifest } from '../manifest/parse.ts'
import { findCrew, listCrews, storeCrew } from '../store/crews.ts'

/** Manifests arrive as text, JSON too: YAML reads both, and only text has lines to point at. */
export function crewRoutes(app: ServiceApp, engine: Engine): void {
  implement(
    app,
    ROUTES.createCrew,
    async (request, reply) => {
      const { manifest, faults } = parseManifest(request.body)
      if (manifest === undefined) throw new AppError('manifest_invalid', { detail: `${faults.length} faults`, faults })
      const { tenantId, subject } = request.principal
      const { crew, created } = await storeCrew(engine.db, tenantId, subject, manifest, contentHash(manifest))
      return reply
        .code(created ? 201 : 200)
        .header('location', `/v1/crews/${crew.name}/versions/${crew.version}`)
        .send(crew)
    },
    { body: 'text' },
  )

  implement(
    app,
    ROUTES.validateCrew,
    (request) => {
      const { manifest, faults } = parseManifest(request.body)
      return manifest === undefined
        ? { valid: false, faults }
        : { valid: true, faults: [], order: waves(dependenciesOf(manifest)) }
    },
    { body: 'text' },
  )

  implement(app, ROUTES.listCrews, async (request) => {
    const { limit = 50, cursor } = request.query
    return pageOf(await listCrews(engine.db, request.principal.tenantId, limit + 1, cursor), limit, (crew) => crew.name)
  })

  implement(app, ROUTES.getCrew, async (request) => {
    const { name, version } = request.params
    const crew = await findCrew(
      engine.db,
      request.principal.tenantId,
      name,
      version === 'latest' ? 'latest' : Number(version),
    )
    if (crew === undefined) throw new AppError('not_found')
    return crew
  })

  implement(app, ROUTES.broadcastToCrew, async ({ principal, params, body, headers }) =>
    broadcast(engine.urgentDb, orderOf(engine, principal, params.name), body, headers['idempotency-key']),
  )

  implement(app, ROUTES.disbandCrew, async ({ principal, params, body }) =>
    disband(engine.urgentDb, orderOf(engine, principal, params.name), body),
  )
}

const orderOf = (engine: Engine, { tenantId, subject }: Principal, crew: string): CrewOrder => ({
  tenantId,
  actor: subject,
  crew,
  onSaved: engine.after,
})
