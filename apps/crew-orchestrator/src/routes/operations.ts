import { ROUTES } from '@hypercode/contracts'
import type { OperationAction } from '@hypercode/contracts'
import { AppError, checkIdCursor, implement, pageOf, requireScopes } from '@hypercode/http'
import type { Principal, ServiceApp } from '@hypercode/http'
import type { Engine } from '../engine/engine.ts'
import { abortOperation, previewOperation, startOperation } from '../engine/operations.ts'
import type { OperationBounds } from '../engine/operations.ts'
import { findOperation, listOperations } from '../store/operations.ts'

export function operationRoutes(app: ServiceApp, engine: Engine, bounds: OperationBounds): void {
  implement(app, ROUTES.startOperation, async (request, reply) => {
    const { principal, body, id: correlationId } = request
    checkScopes(principal, body.action)
    const { tenantId, subject: actor } = principal
    const order = { tenantId, actor, body, idempotencyKey: request.headers['idempotency-key'], correlationId }
    if (body.dryRun === true) return await previewOperation(engine, order, bounds)
    const { operation, replayed } = await startOperation(engine, order, bounds)
    if (replayed) reply.header('idempotency-replayed', 'true')
    return reply.code(202).header('location', `/v1/operations/${operation.id}`).send(operation)
  })

  implement(app, ROUTES.listOperations, async (request) => {
    const { limit = 50, ...filter } = request.query
    checkIdCursor(filter.cursor)
    const rows = await listOperations(engine.db, request.principal.tenantId, { ...filter, limit: limit + 1 })
    return pageOf({ rows, cut: false }, limit, (operation) => operation.id)
  })

  implement(app, ROUTES.getOperation, async (request) => {
    const operation = await findOperation(engine.db, request.principal.tenantId, request.params.id)
    if (operation === undefined) throw new AppError('not_found')
    return operation
  })

  implement(app, ROUTES.abortOperation, async ({ principal, params: { id } }) => {
    const { tenantId, subject: actor } = principal
    const operation = await findOperation(engine.db, tenantId, id)
    if (operation === undefined) throw new AppError('not_found')
    checkScopes(principal, operation.action)
    return await abortOperation(engine, { tenantId, actor, id })
  })
}

/** Nobody does to many what they may not do to one. */
const checkScopes = (principal: Principal, action: OperationAction): void =>
  requireScopes(principal, ROUTES[action].access)
