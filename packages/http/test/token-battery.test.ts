import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { newId } from '@hypercode/contracts'
import type { Problem } from '@hypercode/contracts'
import { describe, expect, test } from 'vitest'
import { AUDIENCE, CLIENT, ISSUER, SECRET, auth, goodClaims, serve } from './service.ts'
import type { TestService } from './service.ts'

const now = (): number => Math.floor(Date.now() / 1000)
const ed = generateKeyPairSync('ed25519')
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const KID = 'key-1'
const edJwk = { ...ed.publicKey.export({ format: 'jwk' }), kid: KID, alg: 'EdDSA', use: 'sig' }
const edPem = ed.publicKey.export({ type: 'spki', format: 'pem' }).toString()

const b64 = (value: string | Buffer): string => Buffer.from(value).toString('base64url')
const raw = (header: unknown, payload: string, signature: (input: string) => Buffer): string => {
  const input = `${b64(JSON.stringify(header))}.${b64(payload)}`
  return `${input}.${b64(signature(input))}`
}
const hmac =
  (key: string | Buffer, hash = 'sha256') =>
  (input: string): Buffer =>
    createHmac(hash, key).update(input).digest()
const edSign =
  (key: KeyObject = ed.privateKey) =>
  (input: string): Buffer =>
    sign(null, Buffer.from(input), key)
const none = (): Buffer => Buffer.alloc(0)

const HS = { alg: 'HS256', typ: 'at+jwt' }
const ED = { alg: 'EdDSA', typ: 'at+jwt', kid: KID }

/** Signed with the right secret; only the claims or the header are wrong. */
const hs = (claims: Record<string, unknown>, header: object = HS): string =>
  raw(header, JSON.stringify(claims), hmac(SECRET))
const hsText = (payload: string): string => raw(HS, payload, hmac(SECRET))
const without = (name: string): Record<string, unknown> => {
  const { [name]: _left, ...rest } = goodClaims('agent:read')
  return rest
}
const withClaim = (name: string, value: unknown): string => hs({ ...goodClaims('agent:read'), [name]: value })
const withText = (name: string, text: string): string =>
  hsText(JSON.stringify({ ...goodClaims('agent:read'), [name]: 'HERE' }).replace('"HERE"', text))

/** Bad tokens for a service with a shared secret. */
const BAD: readonly (readonly [string, () => string])[] = [
  ['alg none', () => raw({ alg: 'none', typ: 'at+jwt' }, JSON.stringify(goodClaims('agent:read')), none)],
  ['alg None', () => raw({ alg: 'None', typ: 'at+jwt' }, JSON.stringify(goodClaims('agent:read')), none)],
  ['no signature', () => hs(goodClaims('agent:read')).replace(/[^.]*$/, '')],
  ['no alg', () => hs(goodClaims('agent:read'), { typ: 'at+jwt' })],
  ['HS384', () => raw({ ...HS, alg: 'HS384' }, JSON.stringify(goodClaims('agent:read')), hmac(SECRET, 'sha384'))],
  ['HS512', () => raw({ ...HS, alg: 'HS512' }, JSON.stringify(goodClaims('agent:read')), hmac(SECRET, 'sha512'))],
  ['EdDSA where a secret is used', () => raw(ED, JSON.stringify(goodClaims('agent:read')), edSign())],
  [
    'RS256 where a secret is used',
    () =>
      raw({ ...HS, alg: 'RS256' }, JSON.stringify(goodClaims('agent:read')), (input) =>
        sign('sha256', Buffer.from(input), rsa.privateKey),
      ),
  ],
  ['another secret', () => raw(HS, JSON.stringify(goodClaims('agent:read')), hmac(`${SECRET}x`))],
  ['an empty secret', () => raw(HS, JSON.stringify(goodClaims('agent:read')), hmac(''))],
  ['the secret with a blank', () => raw(HS, JSON.stringify(goodClaims('agent:read')), hmac(` ${SECRET}`))],
  [
    'another payload under the signature',
    () => hs(goodClaims('agent:read')).replace(/\.[^.]+\./, `.${b64(JSON.stringify(goodClaims('token:issue')))}.`),
  ],
  ['typ JWT', () => hs(goodClaims('agent:read'), { alg: 'HS256', typ: 'JWT' })],
  ['no typ', () => hs(goodClaims('agent:read'), { alg: 'HS256' })],
  ['typ of an id token', () => hs(goodClaims('agent:read'), { alg: 'HS256', typ: 'id+jwt' })],
  ['an unknown crit', () => hs(goodClaims('agent:read'), { ...HS, crit: ['x'], x: 1 })],
  ['crit b64 false', () => hs(goodClaims('agent:read'), { ...HS, crit: ['b64'], b64: false })],
  ['an empty crit', () => hs(goodClaims('agent:read'), { ...HS, crit: [] })],
  ['crit null', () => hs(goodClaims('agent:read'), { ...HS, crit: null })],
  ['crit false', () => hs(goodClaims('agent:read'), { ...HS, crit: false })],
  ['nbf 1e400', () => withText('nbf', '1e400')],
  ['nbf null', () => withClaim('nbf', null)],
  ['expired', () => hs({ ...goodClaims('agent:read'), iat: now() - 901, exp: now() - 1 })],
  ['not valid yet', () => withClaim('nbf', now() + 300)],
  ['nbf as text', () => withClaim('nbf', '0')],
  ['no exp', () => hs(without('exp'))],
  ['exp null', () => withClaim('exp', null)],
  ['exp as text', () => withClaim('exp', String(now() + 600))],
  ['exp 1e400', () => withText('exp', '1e400')],
  ['exp with a fraction', () => withText('exp', `${now() + 600}.5`)],
  ['exp in milliseconds', () => withClaim('exp', (now() + 600) * 1000)],
  ['exp a day ahead', () => withClaim('exp', now() + 86_400)],
  ['exp below zero', () => withClaim('exp', -1)],
  ['no iat', () => hs(without('iat'))],
  ['iat of next hour', () => hs({ ...goodClaims('agent:read'), iat: now() + 3600, exp: now() + 4000 })],
  [
    'iat of ten years ahead',
    () => hs({ ...goodClaims('agent:read'), iat: now() + 315_360_000, exp: now() + 315_360_900 }),
  ],
  ['iat after exp', () => hs({ ...goodClaims('agent:read'), iat: now() + 50, exp: now() + 40 })],
  ['no iss', () => hs(without('iss'))],
  ['another iss', () => withClaim('iss', `${ISSUER}.evil.test`)],
  ['iss as list', () => withClaim('iss', [ISSUER])],
  ['no aud', () => hs(without('aud'))],
  ['another aud', () => withClaim('aud', 'hypercode-admin')],
  ['aud as list', () => withClaim('aud', [AUDIENCE])],
  ['no sub', () => hs(without('sub'))],
  ['sub as object', () => withClaim('sub', { id: CLIENT })],
  ['empty sub', () => withClaim('sub', '')],
  ['sub as number', () => withClaim('sub', 1)],
  ['no jti', () => hs(without('jti'))],
  ['empty jti', () => withClaim('jti', '')],
  ['no tenant', () => hs(without('tenant'))],
  ['tenant null', () => withClaim('tenant', null)],
  ['tenant as word', () => withClaim('tenant', 'default')],
  ['scope as list', () => withClaim('scope', ['agent:read'])],
  ['no scope', () => hs(without('scope'))],
  ['claims as list', () => hsText(`[${JSON.stringify(goodClaims('agent:read'))}]`)],
  ['claims as text', () => hsText('"agent:read"')],
  ['claims that are no JSON', () => hsText('{"sub":')],
  ['a header that is no JSON', () => `${b64('{')}.${b64('{}')}.${b64('x')}`],
  ['two parts', () => 'e30.e30'],
  ['four parts', () => `${hs(goodClaims('agent:read'))}.e30`],
  ['an encrypted token', () => 'eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.AAAA.AAAA'],
  ['7 KB of token', () => withClaim('pad', 'x'.repeat(5000))],
  ['a dot', () => '.'],
  ['no token at all', () => ''],
]

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

async function ask({ url }: TestService, token: string): Promise<Response> {
  return await fetch(`${url}/guarded`, { headers: { authorization: `Bearer ${token}` } })
}

const startService = (keys: typeof auth.keys): Promise<TestService> =>
  serve(
    (app) =>
      void app.get('/guarded', { config: { scopes: ['agent:read'] } }, (request) => ({
        subject: request.principal.subject,
      })),
    {
      auth: { ...auth, keys },
    },
  )

async function expectRefused(service: TestService, make: () => string): Promise<void> {
  // The first request of a process pays for compiling; it is not what is measured.
  await ask(service, 'a.b.c')
  const token = make()
  const before = process.cpuUsage()
  const response = await ask(service, token)
  const { user, system } = process.cpuUsage(before)
  const problem = (await response.json()) as Problem
  expect(response.status).toBe(401)
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  expect(response.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
  expect(problem).toMatchObject({
    status: 401,
    code: 'token_invalid',
    type: 'https://hypercode.dev/problems/token_invalid',
  })
  // CPU and not time: other processes of the machine do not count.
  expect((user + system) / 1000).toBeLessThan(50)
  // A second time, in case the first one had put it into the cache.
  expect((await ask(service, token)).status).toBe(401)
}

// Goal: no bad token gets in. Method: tokens that differ from a good one in a single respect, with the good one as control.
describe('a service with a shared secret', () => {
  test('takes the good token that all of these differ from', async () => {
    const service = await startService({ secret: SECRET })
    const response = await ask(service, hs(goodClaims('agent:read')))
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ subject: `${CLIENT}/one` })
  })

  test.each(BAD)('refuses %s', async (_name, make) => await expectRefused(await startService({ secret: SECRET }), make))
})

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

// Goal: who debugs a client learns what is wrong with its token.
test.each([
  ['The token has expired.', () => hs({ ...goodClaims('agent:read'), iat: now() - 901, exp: now() - 1 })],
  ['The "iss" of the token is not accepted here.', () => hs(without('iss'))],
  ['The "aud" of the token is not accepted here.', () => withClaim('aud', 'elsewhere')],
  ['The "exp" of the token is not accepted here.', () => withClaim('exp', String(now() + 600))],
  ['The "nbf" of the token is not accepted here.', () => withClaim('nbf', now() + 300)],
  ['The "typ" of the token is not accepted here.', () => hs(goodClaims('agent:read'), { alg: 'HS256' })],
  ['The algorithm of the token is not accepted here.', () => raw(ED, JSON.stringify(goodClaims()), edSign())],
  ['The token is not signed with a key that is accepted here.', () => raw(HS, JSON.stringify(goodClaims()), hmac('x'))],
  ['The token is malformed.', () => hsText('"agent:read"')],
])('a refusal says: %s', async (detail, make) => {
  const response = await ask(await startService({ secret: SECRET }), make())
  expect(await response.json()).toMatchObject({ code: 'token_invalid', detail })
})

test.each(['issuer', 'audience'])('an empty %s, which would let every token in, stops the boot', async (name) => {
  await expect(serve(undefined, { auth: { ...auth, [name]: '' } })).rejects.toThrow(/must not be empty/)
})

test('a service without a signing key signs nothing', async () => {
  const { app } = await startService({ secret: SECRET })
  expect(() => app.jwt.sign(goodClaims('agent:read'))).toThrow(/unable to sign/)
})

test('a secret that is too short stops the boot', async () => {
  await expect(startService({ secret: 'short' })).rejects.toThrow(/32 bytes/)
})

test('a token is refused as soon as it expires, although it was checked before', async () => {
  const service = await startService({ secret: SECRET })
  const token = hs({ ...goodClaims('agent:read'), iat: now() - 10, exp: now() + 2 })
  expect((await ask(service, token)).status).toBe(200)
  const refused = async (): Promise<boolean> => (await ask(service, token)).status === 401
  while (!(await refused())) expect(now()).toBeLessThan(JSON.parse(atob(token.split('.')[1] ?? '')).exp + 2)
  expect(await refused()).toBe(true)
})

test('a token is refused as soon as it is revoked, although it was checked before', async () => {
  const revoked = new Set<string>()
  const jti = newId()
  const service = await serve((app) => void app.get('/guarded', { config: { scopes: ['agent:read'] } }, () => ({})), {
    auth: { ...auth, isRevoked: (claims) => revoked.has(claims.jti) },
  })
  const token = hs({ ...goodClaims('agent:read'), jti })
  expect((await ask(service, token)).status).toBe(200)
  revoked.add(jti)
  expect((await ask(service, token)).status).toBe(401)
})

// Goal: the cache of checked tokens never mixes callers up.
test('callers whose requests alternate are each taken for themselves', async () => {
  const service = await startService({ secret: SECRET })
  const tokens = Array.from({ length: 10 }, (_, i) => hs({ ...goodClaims('agent:read'), sub: `caller-${i}` }))
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => (await ask(service, tokens[i % 10] ?? '')).json()),
  )
  expect(answers).toEqual(Array.from({ length: 200 }, (_, i) => ({ subject: `caller-${i % 10}` })))
})
