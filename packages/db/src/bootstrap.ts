import { SCOPES } from '@hypercode/contracts'
import { writeAudit } from './audit.ts'
import { hashSecret, verifySecret } from './secret-hash.ts'
import type { Db } from './schema.ts'
import { inTransaction } from './transaction.ts'

/** The tenant that every installation starts with. */
export const DEFAULT_TENANT_ID = '00000000-0000-7000-8000-000000000000'

/**
 * Makes the default tenant and the first client, which holds every scope and creates the others. Run again it changes nothing, except
 * that a new secret replaces the old one and that new scopes are added. A client that was revoked comes back with a new secret alone.
 * Answers what it did.
 */
export async function bootstrap(
  db: Db,
  client: { id: string; secret: string },
): Promise<'created' | 'rotated' | 'unchanged'> {
  await db
    .insertInto('tenants')
    .values({ id: DEFAULT_TENANT_ID, name: 'default' })
    .onConflict((oc) => oc.doNothing())
    .execute()
  const known = await db
    .selectFrom('clients')
    .select(['secret_hash', 'scopes'])
    .where('id', '=', client.id)
    .executeTakeFirst()
  const sameSecret = known !== undefined && (await verifySecret(client.secret, known.secret_hash))
  if (sameSecret && known.scopes.length === SCOPES.length) return 'unchanged'
  const scopes = [...SCOPES]
  const secret_hash = await hashSecret(client.secret)
  const done = known === undefined ? 'created' : 'rotated'
  await inTransaction(db, async (trx) => {
    await trx
      .insertInto('clients')
      .values({ id: client.id, tenant_id: DEFAULT_TENANT_ID, name: 'bootstrap', scopes, secret_hash, revoked_at: null })
      .onConflict((oc) =>
        oc.column('id').doUpdateSet(sameSecret ? { scopes } : { scopes, secret_hash, revoked_at: null }),
      )
      .execute()
    const detail = { name: 'bootstrap', scopes, secretChanged: !sameSecret }
    const entry = { tenantId: DEFAULT_TENANT_ID, actor: 'system', action: `client.${done}`, ref: client.id, detail }
    await writeAudit(trx, [entry])
  })
  return done
}
