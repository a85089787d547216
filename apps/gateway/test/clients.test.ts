import { newId } from '@hypercode/contracts'
import { createTestClient, createTestTenant, signTestToken } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { askToken, call, test } from './support/gateway.ts'

interface ClientBody {
  id: string
  name: string
  secret: string
  scopes: string[]
  revokedAt?: string
}

describe('/v1/clients', () => {
  test('a client is made, read, given a new secret and revoked; each change leaves its audit row', async ({
    startGateway,
    db,
    tenant,
    tokenFor,
  }) => {
    const gateway = await startGateway()
    const clients = `${gateway.url}/v1/clients`
    const token = tokenFor(['token:issue', 'mission:read'], 'operator')

    const made = await call<ClientBody>(clients, {
      method: 'POST',
      token,
      json: { name: 'ci', scopes: ['mission:read'] },
    })
    expect(made.status).toBe(201)
    expect(made.headers.get('cache-control')).toBe('no-store')
    expect(made.body.secret).toMatch(/^[\w-]{43,}$/)
    const { id, secret } = made.body
    expect((await askToken(gateway, { id, secret })).status).toBe(200)

    const read = await call<ClientBody>(`${clients}/${id}`, { token })
    expect(read.body).toMatchObject({ id, name: 'ci', scopes: ['mission:read'] })
    expect(read.body).not.toHaveProperty('secret')

    const rotated = await call<ClientBody>(`${clients}/${id}:rotate`, { method: 'POST', token })
    expect(rotated.status).toBe(200)
    expect((await askToken(gateway, { id, secret })).status).toBe(401)
    expect((await askToken(gateway, { id, secret: rotated.body.secret })).status).toBe(200)

    expect((await call(`${clients}/${id}`, { method: 'DELETE', token })).status).toBe(204)
    expect((await call(`${clients}/${id}`, { method: 'DELETE', token })).status).toBe(204)
    expect((await askToken(gateway, { id, secret: rotated.body.secret })).status).toBe(401)
    expect((await call(`${clients}/${id}:rotate`, { method: 'POST', token })).status).toBe(409)
    expect((await call<ClientBody>(`${clients}/${id}`, { token })).body.revokedAt).toBeDefined()

    const audit = await db.selectFrom('audit').select(['tenant_id', 'actor', 'action', 'ref']).orderBy('id').execute()
    expect(audit).toEqual(
      ['client.created', 'client.rotated', 'client.revoked'].map((action) => ({
        tenant_id: tenant.id,
        actor: 'operator',
        action,
        ref: id,
      })),
    )
  })

  // Goal: fifty that race for one name make one client, and one audit row.
  test('a name is taken once', async ({ startGateway, db, tokenFor }) => {
    const { url } = await startGateway()
    const token = tokenFor(['token:issue'])
    const tries = Array.from({ length: 10 }, async () =>
      call(`${url}/v1/clients`, { method: 'POST', token, json: { name: 'one', scopes: ['token:issue'] } }),
    )
    const statuses = (await Promise.all(tries)).map(({ status }) => status).sort((a, b) => a - b)

    expect(statuses).toEqual([201, ...Array.from({ length: 9 }, () => 409)])
    expect(await db.selectFrom('clients').select('id').where('name', '=', 'one').execute()).toHaveLength(1)
    expect(await db.selectFrom('audit').select('id').execute()).toHaveLength(1)
  })

  test('nobody gives more than they have, and nobody takes over a client that can do more', async ({
    startGateway,
    db,
    tenant,
    tokenFor,
  }) => {
    const { url } = await startGateway()
    const token = tokenFor(['token:issue'])
    const strong = await createTestClient(db, tenant.id, ['token:issue', 'mission:write'])

    const made = await call(`${url}/v1/clients`, {
      method: 'POST',
      token,
      json: { name: 'stronger', scopes: ['token:issue', 'mission:write'] },
    })
    const rotated = await call(`${url}/v1/clients/${strong.id}:rotate`, { method: 'POST', token })

    for (const answer of [made, rotated]) {
      expect(answer.status).toBe(403)
      expect(answer.body).toMatchObject({ code: 'insufficient_scope' })
      expect(answer.body['detail']).toContain('mission:write')
    }
    expect(await db.selectFrom('audit').select('id').execute()).toEqual([])
  })

  test('a client of another tenant is as unknown as one that does not exist', async ({
    startGateway,
    db,
    tokenFor,
  }) => {
    const { url } = await startGateway()
    const other = await createTestTenant(db)
    const foreign = await createTestClient(db, other.id, ['token:issue'])
    const token = tokenFor(['token:issue'])

    for (const [method, suffix] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', ':rotate'],
    ] as const) {
      const found = await call(`${url}/v1/clients/${foreign.id}${suffix}`, { method, token })
      const unknown = await call(`${url}/v1/clients/${newId()}${suffix}`, { method, token })
      expect(found.status).toBe(404)
      expect({ ...found.body, correlationId: '' }).toEqual({ ...unknown.body, correlationId: '' })
    }
    const owner = signTestToken({ tenantId: other.id, scopes: ['token:issue'] })
    expect((await call<ClientBody>(`${url}/v1/clients/${foreign.id}`, { token: owner })).body.revokedAt).toBeUndefined()
    expect((await call(`${url}/v1/clients`, { token })).body).toEqual({ items: [] })
  })

  test('pages hold every client once, newest first', async ({ startGateway, db, tenant, tokenFor }) => {
    const { url } = await startGateway()
    const token = tokenFor(['token:issue'])
    const ids: string[] = []
    for (let i = 0; i < 5; i += 1) ids.push((await createTestClient(db, tenant.id, ['agent:read'])).id)

    const seen: string[] = []
    let cursor: string | undefined
    do {
      const { body } = await call<{ items: ClientBody[]; nextCursor?: string }>(
        `${url}/v1/clients?limit=2${cursor === undefined ? '' : `&cursor=${cursor}`}`,
        { token },
      )
      seen.push(...body.items.map(({ id }) => id))
      cursor = body.nextCursor
    } while (cursor !== undefined)

    expect(seen).toEqual(ids.toReversed())
    expect((await call(`${url}/v1/clients?cursor=nonsense`, { token })).status).toBe(400)
    expect((await call(`${url}/v1/clients?limit=0`, { token })).status).toBe(400)
  })

  test('server-owned fields cannot be set', async ({ startGateway, tokenFor }) => {
    const { url } = await startGateway()
    const token = tokenFor(['token:issue'])
    for (const extra of [
      'id',
      'tenantId',
      'tenant_id',
      'secret',
      'secretHash',
      'createdAt',
      'revokedAt',
      '__proto__',
    ]) {
      const body = `{"name":"x","scopes":["token:issue"],"${extra}":"${newId()}"}`
      const answer = await call(`${url}/v1/clients`, {
        method: 'POST',
        token,
        body,
        headers: { 'content-type': 'application/json' },
      })
      expect(answer.status, extra).toBe(400)
    }
  })
})
