import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { calculateJwkThumbprint, createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { signToken } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { askToken, call, test } from './support/gateway.ts'

function keyPair(): { privateKey: string; publicKey: string } {
  const pair = generateKeyPairSync('ed25519')
  return {
    privateKey: String(pair.privateKey.export({ type: 'pkcs8', format: 'pem' })),
    publicKey: String(pair.publicKey.export({ type: 'spki', format: 'pem' })),
  }
}

const thumbprint = async (pem: string): Promise<string> =>
  await calculateJwkThumbprint(createPublicKey(pem).export({ format: 'jwk' }) as { kty: string })

describe('JWT_PRIVATE_KEY', () => {
  test('signs with EdDSA, names its key by its thumbprint, and anybody can verify by the JWKS', async ({
    startGateway,
    client,
  }) => {
    const { privateKey, publicKey } = keyPair()
    const gateway = await startGateway({ JWT_PRIVATE_KEY: privateKey })
    const token = String((await askToken(gateway, client)).body['access_token'])

    expect(decodeProtectedHeader(token)).toEqual({ alg: 'EdDSA', typ: 'at+jwt', kid: await thumbprint(publicKey) })
    const jwks = createRemoteJWKSet(new URL(`${gateway.url}/.well-known/jwks.json`))
    const { payload } = await jwtVerify(token, jwks, { algorithms: ['EdDSA'], typ: 'at+jwt', audience: 'hypercode' })
    expect(payload.sub).toBe(client.id)
    const { body } = await call(`${gateway.url}/.well-known/jwks.json`)
    expect(JSON.stringify(body)).not.toContain('"d"')
  })

  // Goal: no valid token is refused while the key is changed.
  // Method: the three steps of the README, with replicas of before and after beside each other at each of them.
  test('is changed without refusing anybody', async ({ startGateway, client }) => {
    const [older, newer] = [keyPair(), keyPair()]
    const tokenOf = async (gateway: { url: string }) => String((await askToken(gateway, client)).body['access_token'])
    const accepted = async (gateway: { url: string }, token: string) =>
      (await call(`${gateway.url}/v1/clients`, { token })).status === 200

    const before = await startGateway({ JWT_PRIVATE_KEY: older.privateKey })
    const prepared = await startGateway({
      JWT_PRIVATE_KEY: older.privateKey,
      JWT_PREVIOUS_PUBLIC_KEY: newer.publicKey,
    })
    const changed = await startGateway({
      JWT_PRIVATE_KEY: newer.privateKey,
      JWT_PREVIOUS_PUBLIC_KEY: older.publicKey,
    })
    const after = await startGateway({ JWT_PRIVATE_KEY: newer.privateKey })

    // Step 1: the new key is announced everywhere. Step 2: it signs. Step 3: the old one is forgotten.
    const oldToken = await tokenOf(before)
    const newToken = await tokenOf(changed)
    expect(await accepted(prepared, oldToken)).toBe(true)
    expect(await accepted(prepared, newToken)).toBe(true)
    expect(await accepted(changed, oldToken)).toBe(true)
    expect(await accepted(before, await tokenOf(prepared))).toBe(true)
    expect(await accepted(after, newToken)).toBe(true)
    expect(await accepted(after, oldToken)).toBe(false)
    const { body } = await call<{ keys: { kid: string }[] }>(`${changed.url}/.well-known/jwks.json`)
    expect(body.keys.map(({ kid }) => kid)).toEqual([
      await thumbprint(newer.publicKey),
      await thumbprint(older.publicKey),
    ])
  })

  test('a token signed with the public key as a shared secret is refused', async ({ startGateway, tenant }) => {
    const { privateKey, publicKey } = keyPair()
    const gateway = await startGateway({ JWT_PRIVATE_KEY: privateKey })
    const forged = signToken(publicKey, { tenantId: tenant.id, scopes: ['token:issue'] })

    expect((await call(`${gateway.url}/v1/clients`, { token: forged })).body).toMatchObject({ code: 'token_invalid' })
  })
})
