/** What was spawned under an idempotency key. Within a transaction that holds the head of the tenant, two requests cannot both be first. */
import type { Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'

/** Who repeats a request does it soon; after so long its key is free again. */
const KEEP = '7 days'

export interface Spawned {
  readonly requestHash: string
  readonly instanceIds: string[]
}

export async function findSpawned(trx: Trx, tenantId: string, key: string): Promise<Spawned | undefined> {
  return await trx
    .selectFrom('spawns')
    .select(['request_hash as requestHash', 'instance_ids as instanceIds'])
    .where('tenant_id', '=', tenantId)
    .where('idempotency_key', '=', key)
    .executeTakeFirst()
}

export async function keepSpawned(trx: Trx, tenantId: string, key: string, spawned: Spawned): Promise<void> {
  const { requestHash: request_hash, instanceIds: instance_ids } = spawned
  await trx
    .insertInto('spawns')
    .values({ tenant_id: tenantId, idempotency_key: key, request_hash, instance_ids })
    .execute()
}

/** Answers how many were forgotten. */
export async function forgetOldSpawns(db: Db, limit = 5000): Promise<number> {
  const deleted = await sql`delete from spawns where (tenant_id, idempotency_key) in (
    select tenant_id, idempotency_key from spawns where created_at < now() - ${KEEP}::interval order by created_at limit ${limit})`.execute(
    db,
  )
  return Number(deleted.numAffectedRows ?? 0n)
}
