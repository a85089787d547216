import { SCOPES, newId } from '@hypercode/contracts'
import { DEFAULT_TENANT_ID, bootstrap, verifySecret } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { randomSecret, test } from '@hypercode/testkit'
import { expect } from 'vitest'

const theClient = async (db: Db) => await db.selectFrom('clients').selectAll().executeTakeFirstOrThrow()

test('the first run makes the tenant and the client, the second changes nothing', async ({ db }) => {
  const client = { id: newId(), secret: randomSecret() }
  expect(await bootstrap(db, client)).toBe('created')
  const made = await theClient(db)
  expect(made).toMatchObject({ id: client.id, tenant_id: DEFAULT_TENANT_ID, revoked_at: null })
  expect(made.scopes.toSorted()).toEqual([...SCOPES].toSorted())
  expect(await verifySecret(client.secret, made.secret_hash)).toBe(true)
  expect(await bootstrap(db, client)).toBe('unchanged')
  expect(await theClient(db)).toEqual(made)
})

test('what it does to the client is in the audit, and no secret is', async ({ db }) => {
  const [id, old, next] = [newId(), randomSecret(), randomSecret()]
  for (const secret of [old, old, next]) await bootstrap(db, { id, secret })
  const rows = await db.selectFrom('audit').select(['actor', 'action', 'ref', 'detail']).orderBy('id').execute()
  expect(rows).toMatchObject([
    { actor: 'system', action: 'client.created', ref: id, detail: { name: 'bootstrap', secretChanged: true } },
    { actor: 'system', action: 'client.rotated', ref: id, detail: { name: 'bootstrap', secretChanged: true } },
  ])
  expect(JSON.stringify(rows)).not.toMatch(new RegExp([old, next].map((secret) => secret.slice(0, 8)).join('|')))
})

test('a new secret replaces the old one', async ({ db }) => {
  const [id, old, next] = [newId(), randomSecret(), randomSecret()]
  await bootstrap(db, { id, secret: old })
  expect(await bootstrap(db, { id, secret: next })).toBe('rotated')
  const { secret_hash } = await theClient(db)
  expect([await verifySecret(old, secret_hash), await verifySecret(next, secret_hash)]).toEqual([false, true])
  expect(await db.selectFrom('tenants').select('id').execute()).toEqual([{ id: DEFAULT_TENANT_ID }])
})

test('a scope that a release brings reaches the client that is there', async ({ db }) => {
  const client = { id: newId(), secret: randomSecret() }
  await bootstrap(db, client)
  await db
    .updateTable('clients')
    .set({ scopes: ['agent:read'] })
    .execute()
  expect(await bootstrap(db, client)).toBe('rotated')
  expect((await theClient(db)).scopes).toHaveLength(SCOPES.length)
})

// A secret that leaked was revoked for good; only another secret brings the client back.
test('a revoked client stays revoked with its old secret, also when a release brings a scope', async ({ db }) => {
  const client = { id: newId(), secret: randomSecret() }
  await bootstrap(db, client)
  const revoked_at = new Date('2026-01-01T00:00:00Z')
  await db.updateTable('clients').set({ revoked_at }).execute()
  await bootstrap(db, client)
  expect(await theClient(db)).toMatchObject({ revoked_at })
  await db
    .updateTable('clients')
    .set({ scopes: ['agent:read'] })
    .execute()
  await bootstrap(db, client)
  expect(await theClient(db)).toMatchObject({ revoked_at })
  await bootstrap(db, { id: client.id, secret: randomSecret() })
  expect(await theClient(db)).toMatchObject({ revoked_at: null })
})

test('several set-ups at once make one client', async ({ db }) => {
  const client = { id: newId(), secret: randomSecret() }
  const did = await Promise.all([1, 2, 3].map(async () => await bootstrap(db, client)))
  expect(did).toContain('created')
  const { secret_hash } = await theClient(db)
  expect(await verifySecret(client.secret, secret_hash)).toBe(true)
})
