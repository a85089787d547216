import type { Db } from '@hypercode/db'
import { sql } from 'kysely'

export interface Ownership {
  /** Instances that have registered with tokens of the client. */
  readonly any: boolean
  /** One of them is of this agent. */
  readonly ofAgent: boolean
}

/** What a client has registered, and whether this agent is among it. */
export async function ownershipOf(db: Db, tenantId: string, clientId: string, agentId: string): Promise<Ownership> {
  const found = await sql<{ any: boolean; ofAgent: boolean }>`
    select count(*) > 0 as any, coalesce(bool_or(agent_id = ${agentId}), false) as "ofAgent" from agent_instances
    where tenant_id = ${tenantId} and (subject = ${clientId} or starts_with(subject, ${`${clientId}/`}))`.execute(db)
  return found.rows[0] ?? { any: false, ofAgent: false }
}
