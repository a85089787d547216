import { newId } from '@hypercode/contracts'
import { REVOCATION_SKEW_S, addRevocation, createRevocationList, deleteExpiredRevocations } from '@hypercode/db'
import { test } from '@hypercode/testkit'
import { sql } from 'kysely'
import { describe, expect } from 'vitest'

const nowS = (): number => Math.floor(Date.now() / 1000)

describe('the revocation list', () => {
  test('holds single tokens, and all tokens that a client got so far', async ({ db, tenant }) => {
    const list = createRevocationList(db)
    const [client, other, token] = [newId(), newId(), newId()]
    await addRevocation(db, { tenantId: tenant.id, kind: 'token', ref: token, lifeS: 900 })
    await addRevocation(db, { tenantId: tenant.id, kind: 'client', ref: client, lifeS: 900 })
    expect(list.isRevoked({ sub: other, jti: token, iat: nowS() })).toBe(false)
    await list.refresh()

    expect(list.size).toBe(2)
    expect(list.isRevoked({ sub: other, jti: token, iat: nowS() })).toBe(true)
    expect(list.isRevoked({ sub: client, jti: newId(), iat: nowS() - 10 })).toBe(true)
    expect(list.isRevoked({ sub: `${client}/one`, jti: newId(), iat: nowS() })).toBe(true)
    expect(list.isRevoked({ sub: `${client}/one`, jti: newId(), iat: nowS() + REVOCATION_SKEW_S + 5 })).toBe(false)
    expect(list.isRevoked({ sub: other, jti: newId(), iat: nowS() })).toBe(false)
  })

  // Goal: V1. A revocation whose transaction commits after a later one is not passed over.
  // Method: the first gets its id, then the second commits and is read, then the first commits.
  test('finds a revocation that committed late', async ({ db, tenant }) => {
    const list = createRevocationList(db)
    const [early, late] = [newId(), newId()]
    const written = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const slow = db.transaction().execute(async (trx) => {
      await addRevocation(trx, { tenantId: tenant.id, kind: 'token', ref: late, lifeS: 900 })
      written.resolve()
      await release.promise
    })
    await written.promise
    await addRevocation(db, { tenantId: tenant.id, kind: 'token', ref: early, lifeS: 900 })
    await list.refresh()
    expect(list.isRevoked({ sub: 's', jti: early, iat: nowS() })).toBe(true)
    expect(list.isRevoked({ sub: 's', jti: late, iat: nowS() })).toBe(false)
    release.resolve()
    await slow
    await list.refresh()
    expect(list.isRevoked({ sub: 's', jti: late, iat: nowS() })).toBe(true)
  })

  test('forgets what no living token is about, and the table does as well', async ({ db, tenant }) => {
    const expired = newId()
    const alive = newId()
    await addRevocation(db, { tenantId: tenant.id, kind: 'token', ref: alive, lifeS: 900 })
    await sql`insert into revocations (tenant_id, kind, ref, revoked_at, expires_at)
      values (${tenant.id}, 'token', ${expired}, now() - interval '2 hours', now() - interval '1 hour')`.execute(db)
    const list = createRevocationList(db)
    await list.refresh()

    expect(list.size).toBe(1)
    expect(await deleteExpiredRevocations(db)).toBe(1)
    expect(await db.selectFrom('revocations').select('ref').execute()).toEqual([{ ref: alive }])
  })

  test('reads thousands in one go, and afterwards only what is new', async ({ db, tenant }) => {
    await sql`insert into revocations (tenant_id, kind, ref, revoked_at, expires_at)
      select ${tenant.id}::uuid, 'token', gen_random_uuid(), now() - interval '1 minute', now() + interval '10 minutes'
      from generate_series(1, 12000)`.execute(db)
    let rows = 0
    const counting = db.withPlugin({
      transformQuery: ({ node }) => node,
      transformResult: async ({ result }) => {
        rows += result.rows.length
        return result
      },
    })
    const list = createRevocationList(counting)
    await list.refresh()
    expect([list.size, rows]).toEqual([12_000, 12_000])
    const fresh = newId()
    await addRevocation(db, { tenantId: tenant.id, kind: 'token', ref: fresh, lifeS: 900 })
    await list.refresh()
    expect(rows).toBe(12_001)
    expect(list.isRevoked({ sub: 's', jti: fresh, iat: nowS() })).toBe(true)
  })
})
