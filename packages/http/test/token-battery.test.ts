import { sign } from 'node:crypto'
import { newId } from '@hypercode/contracts'
import { describe, expect, test } from 'vitest'
import { AUDIENCE, CLIENT, ISSUER, SECRET, auth, goodClaims, serve } from './service.ts'
import { ED, HS, ask, b64, edSign, expectRefused, hmac, none, now, raw, rsa, startService } from './forged-tokens.ts'

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
