import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { goodClaims } from './service.ts'
import {
  ED,
  HS,
  KID,
  ask,
  ed,
  edSign,
  expectRefused,
  hmac,
  none,
  now,
  raw,
  rsa,
  startService,
} from './forged-tokens.ts'

const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })

const edJwk = { ...ed.publicKey.export({ format: 'jwk' }), kid: KID, alg: 'EdDSA', use: 'sig' }
const edPem = ed.publicKey.export({ type: 'spki', format: 'pem' }).toString()

/** Bad tokens for a service that knows an Ed25519 public key. */
const BAD_ASYMMETRIC: readonly (readonly [string, () => string])[] = [
  [
    'HS256 with the public key as PEM',
    () => raw({ ...HS, kid: KID }, JSON.stringify(goodClaims('agent:read')), hmac(edPem)),
  ],
  [
    'HS256 with the PEM and a blank before it',
    () => raw({ ...HS, kid: KID }, JSON.stringify(goodClaims('agent:read')), hmac(` ${edPem}`)),
  ],
  [
    'HS256 with the PEM and a BOM before it',
    () => raw({ ...HS, kid: KID }, JSON.stringify(goodClaims('agent:read')), hmac(`\uFEFF${edPem}`)),
  ],
  [
    'HS256 with the JWK as text',
    () => raw({ ...HS, kid: KID }, JSON.stringify(goodClaims('agent:read')), hmac(JSON.stringify(edJwk))),
  ],
  [
    'HS256 with the raw key',
    () =>
      raw(
        { ...HS, kid: KID },
        JSON.stringify(goodClaims('agent:read')),
        hmac(Buffer.from(String(edJwk.x), 'base64url')),
      ),
  ],
  [
    'HS256 with an empty key for an unknown kid',
    () => raw({ ...HS, kid: 'nobody' }, JSON.stringify(goodClaims('agent:read')), hmac('')),
  ],
  ['alg none', () => raw({ alg: 'none', typ: 'at+jwt', kid: KID }, JSON.stringify(goodClaims('agent:read')), none)],
  ['unknown kid', () => raw({ ...ED, kid: 'nobody' }, JSON.stringify(goodClaims('agent:read')), edSign())],
  ['kid as path', () => raw({ ...ED, kid: '../../dev/null' }, JSON.stringify(goodClaims('agent:read')), edSign())],
  ['kid as object', () => raw({ ...ED, kid: {} }, JSON.stringify(goodClaims('agent:read')), edSign())],
  [
    'another Ed25519 key',
    () => raw(ED, JSON.stringify(goodClaims('agent:read')), edSign(generateKeyPairSync('ed25519').privateKey)),
  ],
  [
    'its own key in the header',
    () => {
      const own = generateKeyPairSync('ed25519')
      const jwk = createPublicKey(own.privateKey).export({ format: 'jwk' })
      return raw({ ...ED, jwk }, JSON.stringify(goodClaims('agent:read')), edSign(own.privateKey))
    },
  ],
  [
    'an address of keys in the header',
    () =>
      raw({ ...ED, jku: 'http://127.0.0.1:1/jwks.json', kid: 'x' }, JSON.stringify(goodClaims('agent:read')), edSign()),
  ],
  [
    'ES256',
    () =>
      raw({ ...ED, alg: 'ES256' }, JSON.stringify(goodClaims('agent:read')), (input) =>
        sign('sha256', Buffer.from(input), { key: p256.privateKey, dsaEncoding: 'ieee-p1363' }),
      ),
  ],
  [
    'RS256',
    () =>
      raw({ ...ED, alg: 'RS256' }, JSON.stringify(goodClaims('agent:read')), (input) =>
        sign('sha256', Buffer.from(input), rsa.privateKey),
      ),
  ],
  [
    'expired',
    () => raw(ED, JSON.stringify({ ...goodClaims('agent:read'), iat: now() - 901, exp: now() - 1 }), edSign()),
  ],
  [
    'exp 1e400',
    () => raw(ED, JSON.stringify({ ...goodClaims('agent:read'), exp: 'HERE' }).replace('"HERE"', '1e400'), edSign()),
  ],
  [
    'a signature of 63 bytes',
    () => raw(ED, JSON.stringify(goodClaims('agent:read')), (input) => edSign()(input).subarray(1)),
  ],
]

describe('a service with a public key', () => {
  const keys = { publicKeys: [edJwk] }

  test('takes the good token that all of these differ from', async () => {
    const response = await ask(await startService(keys), raw(ED, JSON.stringify(goodClaims('agent:read')), edSign()))
    expect(response.status).toBe(200)
  })

  test.each(BAD_ASYMMETRIC)('refuses %s', async (_name, make) => await expectRefused(await startService(keys), make))

  test('takes no key of another kind', async () => {
    const jwk = { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'rsa' }
    await expect(startService({ publicKeys: [jwk] })).rejects.toThrow(/Ed25519/)
    await expect(startService({ publicKeys: [] })).rejects.toThrow(/empty/)
  })
})
