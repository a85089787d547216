import { BlueprintManifest, ROUTES } from '@hypercode/contracts'
import { AppError, badCursor, checkIdCursor, implement, pageOf } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import { createManifestReader } from '@hypercode/manifest'
import { blueprintFaults } from '../domain/blueprint-faults.ts'
import type { Fleet } from '../engine/fleet.ts'
import { noBlueprint } from '../engine/not-there.ts'
import { demote, promote } from '../engine/stable.ts'
import type { FactoryMetrics } from '../metrics.ts'
import { findBlueprint, listBlueprints, storeBlueprint } from '../store/blueprints.ts'
import { listPromotions } from '../store/promotions.ts'
import { viewBlueprint, viewPromotion } from './views.ts'

const PAGE_SIZE = 50

/** Blueprints and what becomes of their versions. Manifests arrive as text, JSON too: only text has lines to point at. */
export function blueprintRoutes(app: ServiceApp, { fleet, metrics }: { fleet: Fleet; metrics: FactoryMetrics }): void {
  const { db } = fleet
  const reader = createManifestReader(BlueprintManifest, (manifest) => blueprintFaults(manifest, fleet.limits))

  implement(
    app,
    ROUTES.createBlueprint,
    async ({ principal, body }, reply) => {
      const { manifest, faults } = reader.parse(body)
      if (manifest === undefined) throw new AppError('blueprint_invalid', { detail: `${faults.length} faults`, faults })
      const { tenantId, subject: actor } = principal
      const { blueprint, created } = await storeBlueprint(fleet, { tenantId, actor }, manifest)
      const { name, version } = blueprint
      return reply
        .code(created ? 201 : 200)
        .header('location', `/v1/blueprints/${name}/versions/${version}`)
        .send(viewBlueprint(blueprint))
    },
    { body: 'text' },
  )

  implement(
    app,
    ROUTES.validateBlueprint,
    ({ body }) => {
      const { manifest, faults } = reader.parse(body)
      return { valid: manifest !== undefined, faults: [...faults] }
    },
    { body: 'text' },
  )

  implement(app, ROUTES.listBlueprints, async ({ principal, query }) => {
    const { limit = PAGE_SIZE, cursor } = query
    if (cursor !== undefined && !/^[a-z0-9][a-z0-9-]{0,62}$/.test(cursor)) throw badCursor()
    const rows = await listBlueprints(db, principal.tenantId, { limit: limit + 1, after: cursor })
    const page = pageOf({ rows, cut: false }, limit, (last) => last.name)
    return { ...page, items: page.items.map(viewBlueprint) }
  })

  implement(app, ROUTES.getBlueprint, async ({ principal, params }) => {
    const found = await findBlueprint(db, principal.tenantId, params.name, params.version)
    if (found === undefined) throw noBlueprint(params.name, params.version)
    return viewBlueprint(found)
  })

  implement(app, ROUTES.promoteBlueprint, async ({ principal, params }) => {
    const { tenantId, subject: actor } = principal
    return viewPromotion(await promote(fleet, metrics, { tenantId, actor, name: params.name, ref: params.version }))
  })

  implement(app, ROUTES.demoteBlueprint, async ({ principal, params, body }) => {
    const { tenantId, subject: actor } = principal
    return viewPromotion(await demote(fleet, metrics, { tenantId, actor, name: params.name, ...body }))
  })

  implement(app, ROUTES.listPromotions, async ({ principal, params, query }) => {
    const { limit = PAGE_SIZE, cursor } = query
    checkIdCursor(cursor)
    const rows = await listPromotions(db, principal.tenantId, params.name, { limit: limit + 1, below: cursor })
    const page = pageOf({ rows, cut: false }, limit, (last) => last.id)
    return { ...page, items: page.items.map(viewPromotion) }
  })
}
