import { ROUTES } from '@hypercode/contracts'
import type { Decide, EditApproval } from '@hypercode/contracts'
import { AppError, badCursor, implement, pageOf } from '@hypercode/http'
import type { Principal, ServiceApp } from '@hypercode/http'
import { decideApproval } from '../engine/approvals.ts'
import type { DecisionOrder } from '../engine/approvals.ts'
import type { Engine } from '../engine/engine.ts'
import { findApproval, listApprovals } from '../store/approvals.ts'

/** Where people find what waits for them, and decide. */
export function approvalRoutes(app: ServiceApp, engine: Engine): void {
  implement(app, ROUTES.listApprovals, async (request) => {
    const { limit = 50, cursor, ...filter } = request.query
    const options = { ...filter, cursor: cursorOf(cursor), limit: limit + 1 }
    return pageOf(
      await listApprovals(engine.db, request.principal.tenantId, options),
      limit,
      ({ state, id }) => `${state === 'open' ? 'open' : 'closed'}/${id}`,
    )
  })

  implement(app, ROUTES.getApproval, async (request) => {
    const approval = await findApproval(engine.db, request.principal.tenantId, request.params.id)
    if (approval === undefined) throw new AppError('not_found')
    return approval
  })

  const decide = async (
    principal: Principal,
    id: string,
    verdict: DecisionOrder['verdict'],
    { hash, comment, ...edit }: Decide | EditApproval,
  ) => {
    const { tenantId, subject } = principal
    const order = { tenantId, id, subject, verdict, hash, comment, ...edit }
    const { approval, saved } = await decideApproval(engine.urgentDb, order)
    engine.after(saved)
    return approval
  }
  implement(app, ROUTES.approveApproval, ({ principal, params, body }) => decide(principal, params.id, 'approve', body))
  implement(app, ROUTES.rejectApproval, ({ principal, params, body }) => decide(principal, params.id, 'reject', body))
  implement(app, ROUTES.editApproval, ({ principal, params, body }) => decide(principal, params.id, 'edit', body))
}

const CURSOR = /^(open|closed)\/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/

function cursorOf(text: string | undefined): { closed: boolean; id: string } | undefined {
  if (text === undefined) return undefined
  const match = CURSOR.exec(text)
  if (match?.[2] === undefined) throw badCursor()
  return { closed: match[1] === 'closed', id: match[2] }
}
