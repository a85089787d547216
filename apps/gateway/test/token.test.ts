import { createHash } from 'node:crypto'
import { newId } from '@hypercode/contracts'
import { createTestClient } from '@hypercode/testkit'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { describe, expect } from 'vitest'
import { askToken, call, test } from './support/gateway.ts'

const basic = (id: string, secret: string): string => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`

describe('POST /v1/auth/token', () => {
  test('a form with credentials in it gives a token that the API accepts', async ({ startGateway, client, tenant }) => {
    const gateway = await startGateway()
    const answer = await askToken(gateway, client)

    expect(answer.status).toBe(200)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.body).toMatchObject({ token_type: 'Bearer', expires_in: 900 })
    const token = String(answer.body['access_token'])
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'HS256', typ: 'at+jwt' })
    const claims = decodeJwt(token)
    expect(claims).toMatchObject({ sub: client.id, client_id: client.id, tenant: tenant.id, aud: 'hypercode' })
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(900)
    expect((await call(`${gateway.url}/v1/clients`, { token })).status).toBe(200)
  })

  test('JSON and HTTP Basic do as well', async ({ startGateway, client }) => {
    const { url } = await startGateway()
    const body = { grant_type: 'client_credentials', scope: 'mission:read' }
    const json = await call(`${url}/v1/auth/token`, {
      method: 'POST',
      json: { ...body, client_id: client.id, client_secret: client.secret },
    })
    const header = await call(`${url}/v1/auth/token`, {
      method: 'POST',
      headers: { authorization: basic(client.id, client.secret) },
      body: new URLSearchParams(body),
    })

    expect(json.body).toMatchObject({ scope: 'mission:read' })
    expect(header.body).toMatchObject({ scope: 'mission:read' })
  })

  test('gives the scopes that were asked for, once each, and all without asking', async ({
    startGateway,
    db,
    tenant,
  }) => {
    const gateway = await startGateway()
    const client = await createTestClient(db, tenant.id, ['agent:read', 'mission:read', 'mission:write'])

    const some = await askToken(gateway, client, { scope: 'mission:write  agent:read mission:write' })
    const all = await askToken(gateway, client)
    const empty = await askToken(gateway, client, { scope: '' })

    expect(some.body['scope']).toBe('agent:read mission:write')
    expect(all.body['scope']).toBe('agent:read mission:read mission:write')
    expect(empty.body['scope']).toBe(all.body['scope'])
  })

  test('a scope that the client lacks is refused and named', async ({ startGateway, db, tenant }) => {
    const gateway = await startGateway()
    const client = await createTestClient(db, tenant.id, ['agent:read'])
    const answer = await askToken(gateway, client, { scope: 'agent:read token:issue made:up' })

    expect(answer.status).toBe(403)
    expect(answer.body).toMatchObject({
      code: 'insufficient_scope',
      detail: 'The client does not hold token:issue made:up.',
    })
  })

  test('an instance becomes the second part of the subject', async ({ startGateway, client }) => {
    const gateway = await startGateway()
    const answer = await askToken(gateway, client, { instance: 'auditor-2' })
    const strange = await askToken(gateway, client, { instance: '../x' })

    expect(decodeJwt(String(answer.body['access_token'])).sub).toBe(`${client.id}/auditor-2`)
    expect(strange.status).toBe(400)
  })

  test('TOKEN_TTL_S is the life of a token', async ({ startGateway, client }) => {
    const gateway = await startGateway({ TOKEN_TTL_S: '60' })
    const { body } = await askToken(gateway, client)
    const { iat = 0, exp = 0 } = decodeJwt(String(body['access_token']))

    expect(body['expires_in']).toBe(60)
    expect(exp - iat).toBe(60)
  })

  // Goal: nobody learns from the answer which clients exist.
  // Method: the bodies of an unknown client, of a wrong secret and of a revoked client differ in their correlation id alone.
  test('unknown client, wrong secret and revoked client answer the same', async ({
    startGateway,
    db,
    tenant,
    client,
  }) => {
    const gateway = await startGateway()
    const revoked = await createTestClient(db, tenant.id, ['agent:read'])
    await db.updateTable('clients').set({ revoked_at: new Date() }).where('id', '=', revoked.id).execute()
    const answers = [
      await askToken(gateway, { id: newId(), secret: client.secret }),
      await askToken(gateway, { id: 'no uuid', secret: client.secret }),
      await askToken(gateway, { id: client.id, secret: `${client.secret}x` }),
      await askToken(gateway, revoked),
    ]

    for (const { status, headers, body } of answers) {
      expect(status).toBe(401)
      expect(headers.get('content-type')).toMatch('application/problem+json')
      expect(headers.get('www-authenticate')).toBe('Basic realm="hypercode", charset="UTF-8"')
      expect({ ...body, correlationId: '' }).toEqual({ ...answers[0]?.body, correlationId: '' })
      expect(body['code']).toBe('client_invalid')
    }
  })

  test('what is not a token request is refused by name', async ({ startGateway, client }) => {
    const { url } = await startGateway()
    const post = async (init: RequestInit & { json?: unknown }) =>
      await call(`${url}/v1/auth/token`, { method: 'POST', ...init })
    const good = { grant_type: 'client_credentials', client_id: client.id, client_secret: client.secret }

    const cases: [RequestInit & { json?: unknown }, number, string][] = [
      [{ body: new URLSearchParams({ ...good, grant_type: 'password' }) }, 400, 'request_invalid'],
      [{ body: new URLSearchParams({ grant_type: 'client_credentials' }) }, 401, 'client_invalid'],
      [{ body: new URLSearchParams({ ...good, client_secret: '' }) }, 401, 'client_invalid'],
      [
        { body: new URLSearchParams([...Object.entries(good), ['scope', 'a'], ['scope', 'b']]) },
        400,
        'request_invalid',
      ],
      [{ json: { ...good, client_secret: [client.secret] } }, 400, 'request_invalid'],
      [{ json: { ...good, tenant_id: newId() } }, 400, 'request_invalid'],
      [{ json: null }, 400, 'request_invalid'],
      [
        { body: 'grant_type=client_credentials', headers: { 'content-type': 'text/plain' } },
        415,
        'unsupported_media_type',
      ],
      [
        { body: new URLSearchParams(good), headers: { authorization: basic(client.id, client.secret) } },
        400,
        'request_invalid',
      ],
      [{ body: new URLSearchParams(good), headers: { authorization: 'Bearer abc' } }, 401, 'client_invalid'],
      [
        { body: new URLSearchParams({ grant_type: 'client_credentials' }), headers: { authorization: 'Basic !!' } },
        401,
        'client_invalid',
      ],
      [
        {
          body: new URLSearchParams({ grant_type: 'client_credentials' }),
          headers: { authorization: basic(client.id, '%zz') },
        },
        401,
        'client_invalid',
      ],
    ]
    for (const [init, status, code] of cases) {
      const answer = await post(init)
      expect([answer.status, answer.body['code']], JSON.stringify(init)).toEqual([status, code])
    }
  })

  test('no secret and no token is ever logged', async ({ startGateway, client }) => {
    const gateway = await startGateway({ LOG_LEVEL: 'trace' })
    const { body } = await askToken(gateway, client)
    await askToken(gateway, { id: client.id, secret: `${client.secret}-wrong` })
    await call(`${gateway.url}/v1/clients`, { token: `${String(body['access_token'])}x` })

    const logged = gateway.logs.join('')
    expect(logged).toContain('client_invalid')
    for (const secret of [client.secret, String(body['access_token'])]) expect(logged).not.toContain(secret)
  })
})

describe('GET /.well-known/jwks.json', () => {
  test('lists no key when a shared secret signs', async ({ startGateway }) => {
    const { url } = await startGateway()
    expect((await call(`${url}/.well-known/jwks.json`)).body).toEqual({ keys: [] })
  })
})

test('the hash of a secret is what Postgres holds', async ({ startGateway, db, tokenFor }) => {
  const { url } = await startGateway()
  const made = await call(`${url}/v1/clients`, {
    method: 'POST',
    token: tokenFor(['token:issue', 'agent:read']),
    json: { name: 'ci', scopes: ['agent:read'] },
  })
  const row = await db
    .selectFrom('clients')
    .select('secret_hash')
    .where('id', '=', String(made.body['id']))
    .executeTakeFirstOrThrow()
  const secret = String(made.body['secret'])

  expect(row.secret_hash).toHaveLength(48)
  expect(row.secret_hash.includes(Buffer.from(secret))).toBe(false)
  expect(row.secret_hash.includes(createHash('sha256').update(secret).digest())).toBe(false)
})
