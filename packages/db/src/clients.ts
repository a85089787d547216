/** API clients that services make for themselves and for what they start; people make theirs through the gateway. */
import { newId } from '@hypercode/contracts'
import type { Scope } from '@hypercode/contracts'
import { writeAudit } from './audit.ts'
import { hashSecret, verifySecret } from './secret-hash.ts'
import type { Db } from './schema.ts'
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
