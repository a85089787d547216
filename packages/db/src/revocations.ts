/**
 * Which access tokens must be refused although their signature is good. Every service asks its own copy of the list for each request;
 * a loop of the service refreshes the copy from Postgres, so a revocation is everywhere within one period of that loop.
 *
 * V1 A revocation that has committed is in the copy after the next refresh that succeeds, whatever the order in which its row got
 *    its id: rows of the last half minute are read again, so one that committed late is not passed over.
 * V2 The copy never forgets a revocation before the tokens that it is about have expired.
 * V3 A refresh that fails leaves the copy as it was.
 */
import { sql } from 'kysely'
import type { Db } from './schema.ts'

/** The claims of a token that a revocation can be about. `iat` is in seconds. */
export interface RevocableClaims {
  readonly sub: string
  readonly jti: string
  readonly iat: number
}

export interface RevocationList {
  /** Reads what is new. Run it as a loop, about every second. Rejects when Postgres does not answer. */
  refresh(): Promise<void>
  isRevoked(claims: RevocableClaims): boolean
  /** Revocations that are held now. */
  readonly size: number
}

/** A revocation as it is written. Call with the transaction of the audit row. */
export interface Revocation {
  tenantId: string
  /** `token` refuses the token with the id `ref`, `client` every token that the client `ref` got so far. */
  kind: 'token' | 'client'
  ref: string
  /** How long the revoked token, or the youngest token of the client, can still live; in seconds. */
  lifeS: number
}

/** Clocks of the services may differ by as much, so a token that a client got within it counts as got before the revocation. */
export const REVOCATION_SKEW_S = 60
const PAGE = 5000
const PAGES_PER_REFRESH = 20
/** Longer than any transaction of ours can take. */
const LATE_COMMIT_S = 30

export async function addRevocation(db: Db, { tenantId, kind, ref, lifeS }: Revocation): Promise<void> {
  const expires_at = sql<Date>`now() + ${lifeS + REVOCATION_SKEW_S} * interval '1 second'`
  await db.insertInto('revocations').values({ tenant_id: tenantId, kind, ref, expires_at }).execute()
}

/** Deletes revocations that no living token is about; answers how many. */
export async function deleteExpiredRevocations(db: Db, limit = 1000): Promise<number> {
  const expired = db
    .selectFrom('revocations')
    .select('id')
    .where('expires_at', '<', sql<Date>`now() - interval '10 minutes'`)
    .limit(limit)
    .forUpdate()
    .skipLocked()
  const deleted = await db.deleteFrom('revocations').where('id', 'in', expired).executeTakeFirst()
  return Number(deleted.numDeletedRows)
}

interface Row {
  id: number
  kind: 'token' | 'client'
  ref: string
  revokedAtS: number
  expiresAtS: number
  settled: boolean
}

export function createRevocationList(db: Db): RevocationList {
  const tokens = new Map<string, { expiresAtS: number }>()
  const clients = new Map<string, { expiresAtS: number; untilS: number }>()
  /** Every row up to this id has been read, and none below it can appear any more. */
  let settledId = 0

  const take = (row: Row): void => {
    if (row.settled) settledId = Math.max(settledId, row.id)
    if (row.kind === 'token') tokens.set(row.ref, { expiresAtS: row.expiresAtS })
    else clients.set(row.ref, { expiresAtS: row.expiresAtS, untilS: row.revokedAtS + REVOCATION_SKEW_S })
  }

  const forget = (): void => {
    const longAgoS = Date.now() / 1000 - REVOCATION_SKEW_S
    for (const held of [tokens, clients]) {
      for (const [ref, { expiresAtS }] of held) if (expiresAtS < longAgoS) held.delete(ref)
    }
  }

  return {
    async refresh() {
      let after = settledId
      for (let page = 0; page < PAGES_PER_REFRESH; page += 1) {
        const rows = await readPage(db, after)
        rows.forEach(take)
        after = rows.at(-1)?.id ?? after
        if (rows.length < PAGE) break
      }
      forget()
    },
    isRevoked({ sub, jti, iat }) {
      if (tokens.size > 0 && tokens.has(jti)) return true
      if (clients.size === 0) return false
      const client = clients.get(sub.split('/', 1)[0] ?? sub)
      return client !== undefined && iat <= client.untilS
    },
    get size() {
      return tokens.size + clients.size
    },
  }
}

async function readPage(db: Db, after: number): Promise<Row[]> {
  return await db
    .selectFrom('revocations')
    .select([
      'id',
      'kind',
      'ref',
      sql<number>`extract(epoch from revoked_at)::float8`.as('revokedAtS'),
      sql<number>`extract(epoch from expires_at)::float8`.as('expiresAtS'),
      sql<boolean>`revoked_at < now() - ${LATE_COMMIT_S} * interval '1 second'`.as('settled'),
    ])
    .where('id', '>', after)
    .where('expires_at', '>', sql<Date>`now()`)
    .orderBy('id')
    .limit(PAGE)
    .execute()
}
