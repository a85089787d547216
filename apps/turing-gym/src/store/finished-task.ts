import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { FinishedTask } from '../domain/capture.ts'

/** A task of the tenant that completed, failed or was rejected; undefined for any other. */
export async function findFinishedTask(db: Db, tenantId: string, id: string): Promise<FinishedTask | undefined> {
  const found =
    await sql<FinishedTask>`select t.id, split_part(t.queue, '@', 1) as skill, t.state, t.input, t.output from tasks t
    where t.id = ${id} and t.tenant_id = ${tenantId} and t.state in ('completed', 'failed', 'rejected')`.execute(db)
  return found.rows[0]
}
