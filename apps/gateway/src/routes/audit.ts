import { ROUTES } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { AppError, implement } from '@hypercode/http'
import type { ServiceApp } from '@hypercode/http'
import { listAudit } from '../store/audit.ts'

const PAGE_DEFAULT = 50

/** What was changed in the caller's tenant, and by whom. */
export function auditRoutes(app: ServiceApp, db: Db): void {
  implement(app, ROUTES.listAudit, async (request) => {
    const { limit = PAGE_DEFAULT, cursor, ref } = request.query
    if (cursor !== undefined && !/^\d{1,15}$/.test(cursor)) {
      throw new AppError('request_invalid', { detail: 'The cursor is not one that a page gave.' })
    }
    const before = cursor === undefined ? undefined : Number(cursor)
    const found = await listAudit(db, request.principal.tenantId, { limit: limit + 1, before, ref })
    const items = found.slice(0, limit)
    const last = items.at(-1)
    return { items, ...(found.length > limit && last !== undefined && { nextCursor: String(last.id) }) }
  })
}
