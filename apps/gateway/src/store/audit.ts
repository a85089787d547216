import type { AuditEntry } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'

export interface AuditFilter {
  readonly limit: number
  /** Only rows with a smaller id. */
  readonly before: number | undefined
  readonly ref: string | undefined
}

/** Rows of the tenant, newest first. */
export async function listAudit(db: Db, tenantId: string, { limit, before, ref }: AuditFilter): Promise<AuditEntry[]> {
  let query = db.selectFrom('audit').selectAll().where('tenant_id', '=', tenantId).orderBy('id', 'desc').limit(limit)
  if (before !== undefined) query = query.where('id', '<', before)
  if (ref !== undefined) query = query.where('ref', '=', ref)
  const rows = await query.execute()
  return rows.map(({ id, at, actor, action, ref: of, detail }) => ({
    id,
    at: at.toISOString(),
    actor,
    action,
    ...(of !== null && { ref: of }),
    detail,
  }))
}
