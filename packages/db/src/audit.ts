import { recordset } from './recordset.ts'
import type { Db } from './schema.ts'
import { sql } from 'kysely'

export interface AuditEntry {
  tenantId: string
  /** Token subject that caused the change, or `system`. */
  actor: string
  /** `noun.verb`, past tense: `client.created`. */
  action: string
  ref?: string
  detail?: Record<string, unknown>
}

/** Writes audit rows; call it in the transaction of the change that they tell of. */
export async function writeAudit(db: Db, entries: readonly AuditEntry[]): Promise<void> {
  if (entries.length === 0) return
  const rows = entries.map((e) => ({
    tenant_id: e.tenantId,
    actor: e.actor,
    action: e.action,
    ref: e.ref ?? null,
    detail: e.detail ?? {},
  }))
  await sql`insert into audit (tenant_id, actor, action, ref, detail)
    select * from ${recordset(rows, 'r', 'tenant_id uuid, actor text, action text, ref text, detail jsonb')}`.execute(
    db,
  )
}
