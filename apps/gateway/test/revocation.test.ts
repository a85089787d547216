import { createTestClient, waitFor } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { askToken, call, test } from './support/gateway.ts'

describe('a revocation', () => {
  // Goal: a revoked token is refused by every replica within two seconds (S4).
  // Method: two gateways on one database; the token is used at both before, revoked at one, and tried at the other until it is refused.
  test('of a token is known to every replica within two seconds', async ({ startGateway, client }) => {
    const [first, second] = await Promise.all([startGateway(), startGateway()])
    const token = String((await askToken(first, client)).body['access_token'])
    const spare = String((await askToken(first, client)).body['access_token'])
    const statusAt = async (gateway: { url: string }, bearer = token) =>
      (await call(`${gateway.url}/v1/clients`, { token: bearer })).status
    expect([await statusAt(first), await statusAt(second)]).toEqual([200, 200])

    const revoked = await call(`${first.url}/v1/auth/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ token, client_id: client.id, client_secret: client.secret }),
    })
    expect(revoked.status).toBe(200)
    expect(await statusAt(first)).toBe(401)
    await waitFor(async () => (await statusAt(second)) === 401, {
      what: 'the other replica to refuse',
      timeoutMs: 2000,
    })
    expect(await statusAt(second, spare)).toBe(200)
  })

  test('of a client ends all of its tokens everywhere, and nobody else’s', async ({
    startGateway,
    db,
    tenant,
    tokenFor,
  }) => {
    const [first, second] = await Promise.all([startGateway(), startGateway()])
    const doomed = await createTestClient(db, tenant.id, ['token:issue'])
    const other = await createTestClient(db, tenant.id, ['token:issue'])
    const tokens = [
      String((await askToken(first, doomed)).body['access_token']),
      String((await askToken(second, doomed, { instance: 'two' })).body['access_token']),
    ]
    const otherToken = String((await askToken(first, other)).body['access_token'])
    const deleted = await call(`${second.url}/v1/clients/${doomed.id}`, {
      method: 'DELETE',
      token: tokenFor(['token:issue']),
    })
    expect(deleted.status).toBe(204)

    for (const gateway of [first, second]) {
      for (const token of tokens) {
        await waitFor(async () => (await call(`${gateway.url}/v1/clients`, { token })).status === 401, {
          what: 'the token to be refused',
          timeoutMs: 2000,
        })
      }
      expect((await call(`${gateway.url}/v1/clients`, { token: otherToken })).status).toBe(200)
      expect((await askToken(gateway, doomed)).status).toBe(401)
    }
  })

  test('holds after a restart, and is audited with the change', async ({ startGateway, db, client }) => {
    const first = await startGateway()
    const token = String((await askToken(first, client)).body['access_token'])
    await call(`${first.url}/v1/auth/revoke`, {
      method: 'POST',
      json: { token, client_id: client.id, client_secret: client.secret, token_type_hint: 'access_token' },
    })
    await first.close()

    const second = await startGateway()
    await waitFor(async () => (await call(`${second.url}/readyz`)).status === 200, { what: 'the gateway to be ready' })
    expect((await call(`${second.url}/v1/clients`, { token })).status).toBe(401)
    const audit = await db.selectFrom('audit').select(['actor', 'action']).execute()
    expect(audit).toEqual([{ actor: client.id, action: 'token.revoked' }])
  })

  test('of nonsense is 200, of another client’s token refused, without credentials 401', async ({
    startGateway,
    db,
    tenant,
    client,
  }) => {
    const gateway = await startGateway()
    const other = await createTestClient(db, tenant.id, ['token:issue'])
    const foreign = String((await askToken(gateway, other)).body['access_token'])
    const revoke = async (fields: Record<string, string>) =>
      await call(`${gateway.url}/v1/auth/revoke`, { method: 'POST', body: new URLSearchParams(fields) })
    const credentials = { client_id: client.id, client_secret: client.secret }

    expect((await revoke({ token: 'nonsense', ...credentials })).status).toBe(200)
    expect((await revoke({ token: foreign, ...credentials })).status).toBe(422)
    expect((await revoke({ token: foreign })).status).toBe(401)
    expect((await call(`${gateway.url}/v1/clients`, { token: foreign })).status).toBe(200)
    expect(await db.selectFrom('revocations').select('id').execute()).toEqual([])
  })
})
