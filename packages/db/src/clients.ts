/** API clients that services make for themselves and for what they start; people make theirs through the gateway. */
import { newId } from '@hypercode/contracts'
import type { Scope } from '@hypercode/contracts'
import { sql } from 'kysely'
import { writeAudit } from './audit.ts'
import { hashSecret, verifySecret } from './secret-hash.ts'
import { addRevocation } from './revocations.ts'
import type { Db, Trx } from './schema.ts'
import { inTransaction } from './transaction.ts'

export interface ServiceClient {
  readonly tenantId: string
  /** Unique in the tenant; it is the service's, whoever had it before. */
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly secret: string
}

/**
 * Makes sure that the tenant has this client with this secret and these scopes, and answers its id. Run again it changes nothing. A client
 * that somebody revoked stays revoked until its secret changes.
 */
export async function ensureClient(db: Db, { tenantId, name, scopes, secret }: ServiceClient): Promise<string> {
  const known = await db
    .selectFrom('clients')
    .select(['id', 'secret_hash', 'scopes'])
    .where('tenant_id', '=', tenantId)
    .where('name', '=', name)
    .executeTakeFirst()
  const sameSecret = known !== undefined && (await verifySecret(secret, known.secret_hash))
  if (sameSecret && scopes.length === known.scopes.length && scopes.every((one) => known.scopes.includes(one))) {
    return known.id
  }
  const secret_hash = await hashSecret(secret)
  return await inTransaction(db, async (trx) => {
    const { id } = await trx
      .insertInto('clients')
      .values({ id: newId(), tenant_id: tenantId, name, scopes: [...scopes], secret_hash, revoked_at: null })
      .onConflict((oc) =>
        oc
          .columns(['tenant_id', 'name'])
          .doUpdateSet(sameSecret ? { scopes: [...scopes] } : { scopes: [...scopes], secret_hash, revoked_at: null }),
      )
      .returning('id')
      .executeTakeFirstOrThrow()
    const action = known === undefined ? 'client.created' : 'client.rotated'
    await writeAudit(trx, [{ tenantId, actor: 'system', action, ref: id, detail: { name, scopes: [...scopes] } }])
    return id
  })
}

/** Makes clients that cannot log in before `setClientSecret`: no secret fits what is stored for them. */
export async function addClients(
  trx: Trx,
  clients: readonly { id: string; tenantId: string; name: string; scopes: readonly Scope[] }[],
): Promise<void> {
  if (clients.length === 0) return
  const rows = clients.map(({ id, tenantId, name, scopes }) => ({
    id,
    tenant_id: tenantId,
    name,
    scopes: [...scopes],
    secret_hash: Buffer.alloc(0),
    revoked_at: null,
  }))
  await trx.insertInto('clients').values(rows).execute()
}

/** From now on the client logs in with this secret and no other; false when it is revoked. */
export async function setClientSecret(db: Db, tenantId: string, id: string, secretHash: Buffer): Promise<boolean> {
  const changed = await db
    .updateTable('clients')
    .set({ secret_hash: secretHash })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return changed.numUpdatedRows === 1n
}

/** Ends a client and every token that it holds, which can live for `tokenLifeS` at most. Revoking it again changes nothing. */
export async function revokeClient(trx: Trx, tenantId: string, id: string, tokenLifeS: number): Promise<void> {
  const changed = await trx
    .updateTable('clients')
    .set({ revoked_at: sql<Date>`now()` })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  if (changed.numUpdatedRows === 1n) await addRevocation(trx, { tenantId, kind: 'client', ref: id, lifeS: tokenLifeS })
}
