import { randomBytes } from 'node:crypto'
import { newId } from '@hypercode/contracts'
import type { Scope } from '@hypercode/contracts'
import { hashSecret } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { randomSecret } from './tokens.ts'

export interface TestTenant {
  readonly id: string
  readonly name: string
}

/** A new tenant with a name of its own. */
export async function createTestTenant(db: Db): Promise<TestTenant> {
  const tenant = { id: newId(), name: `tenant-${randomBytes(6).toString('hex')}` }
  await db.insertInto('tenants').values(tenant).execute()
  return tenant
}

export interface TestClient {
  readonly id: string
  readonly secret: string
}

/** A client of the tenant that can ask the gateway for tokens. */
export async function createTestClient(db: Db, tenantId: string, scopes: readonly Scope[]): Promise<TestClient> {
  const client = { id: newId(), secret: randomSecret() }
  await db
    .insertInto('clients')
    .values({
      id: client.id,
      tenant_id: tenantId,
      name: `client-${randomBytes(6).toString('hex')}`,
      scopes: [...scopes],
      secret_hash: await hashSecret(client.secret),
      revoked_at: null,
    })
    .execute()
  return client
}
