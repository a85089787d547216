import { createHmac } from 'node:crypto'
import { createClient } from '@hypercode/client'
import type { HyperClient } from '@hypercode/client'
import type { Scope } from '@hypercode/contracts'
import { ensureClient } from '@hypercode/db'
import type { Db } from '@hypercode/db'

/** What the gym does through the public API, and no more. */
const GYM_SCOPES = [
  'mission:read',
  'mission:write',
  'mission:cancel',
  'agent:read',
  'instance:write',
  'blueprint:promote',
] as const satisfies readonly Scope[]

/** The gym as a tenant of its own API: one client named `turing-gym` in each tenant. */
export interface Identity {
  /** A client of the tenant. Whoever opens it closes it. */
  open(tenantId: string): Promise<HyperClient>
}

/** The secrets of all clients follow from one, so every replica knows them and none is stored. */
export function createIdentity({ db, baseUrl, secret }: { db: Db; baseUrl: string; secret: string }): Identity {
  return {
    async open(tenantId) {
      const clientSecret = createHmac('sha256', secret).update(`turing-gym client of ${tenantId}`).digest('base64url')
      const clientId = await ensureClient(db, {
        tenantId,
        name: 'turing-gym',
        scopes: GYM_SCOPES,
        secret: clientSecret,
      })
      return createClient({ baseUrl, credentials: { clientId, clientSecret } })
    },
  }
}
