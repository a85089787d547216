import type { Client, Scope } from '@hypercode/contracts'
import { sql } from 'kysely'
import type { Db, Trx } from '@hypercode/db'

export interface ClientLogin {
  id: string
  tenantId: string
  scopes: Scope[]
  secretHash: Buffer
}

const PUBLIC_COLUMNS = ['id', 'name', 'scopes', 'created_at', 'revoked_at'] as const

/** The client that wants a token, whatever its tenant; undefined when there is none or it is revoked. */
export async function findLogin(db: Db, clientId: string): Promise<ClientLogin | undefined> {
  return await db
    .selectFrom('clients')
    .select(['id', 'tenant_id as tenantId', 'scopes', 'secret_hash as secretHash'])
    .where('id', '=', clientId)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
}

export interface NewClient {
  id: string
  tenantId: string
  name: string
  scopes: readonly Scope[]
  secretHash: Buffer
}

/** Undefined when the tenant has a client of this name already. */
export async function insertClient(trx: Trx, client: NewClient): Promise<Client | undefined> {
  const row = await trx
    .insertInto('clients')
    .values({
      id: client.id,
      tenant_id: client.tenantId,
      name: client.name,
      scopes: [...client.scopes],
      secret_hash: client.secretHash,
      revoked_at: null,
    })
    .onConflict((oc) => oc.columns(['tenant_id', 'name']).doNothing())
    .returning(PUBLIC_COLUMNS)
    .executeTakeFirst()
  return row && toClient(row)
}

/** One page, newest first; `before` is the id that the page before ended with. */
export async function listClients(
  db: Db,
  tenantId: string,
  page: { limit: number; before: string | undefined },
): Promise<Client[]> {
  let query = db.selectFrom('clients').select(PUBLIC_COLUMNS).where('tenant_id', '=', tenantId)
  if (page.before !== undefined) query = query.where('id', '<', page.before)
  return (await query.orderBy('id', 'desc').limit(page.limit).execute()).map(toClient)
}

export async function findClient(db: Db, tenantId: string, id: string): Promise<Client | undefined> {
  const row = await db
    .selectFrom('clients')
    .select(PUBLIC_COLUMNS)
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .executeTakeFirst()
  return row && toClient(row)
}

/** Undefined when there is no such client, or it is revoked. */
export async function replaceSecret(
  trx: Trx,
  tenantId: string,
  id: string,
  secretHash: Buffer,
): Promise<Client | undefined> {
  const row = await trx
    .updateTable('clients')
    .set({ secret_hash: secretHash })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .returning(PUBLIC_COLUMNS)
    .executeTakeFirst()
  return row && toClient(row)
}

/** False when there is no such client, or it was revoked before. */
export async function markRevoked(trx: Trx, tenantId: string, id: string): Promise<boolean> {
  const result = await trx
    .updateTable('clients')
    .set({ revoked_at: sql<Date>`now()` })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  return result.numUpdatedRows === 1n
}

interface ClientRow {
  id: string
  name: string
  scopes: Scope[]
  created_at: Date
  revoked_at: Date | null
}

const toClient = (row: ClientRow): Client => ({
  id: row.id,
  name: row.name,
  scopes: row.scopes,
  createdAt: row.created_at.toISOString(),
  ...(row.revoked_at !== null && { revokedAt: row.revoked_at.toISOString() }),
})
