import { createHmac } from 'node:crypto'
import { TokenClaims, newId } from '@hypercode/contracts'
import { Value } from '@sinclair/typebox/value'
import { expect, test } from 'vitest'
import { randomSecret, signToken } from '../src/tools.ts'

const read = (part: string | undefined): Record<string, unknown> =>
  JSON.parse(Buffer.from(part ?? '', 'base64url').toString()) as Record<string, unknown>

test('a token carries the claims of the contract under a signature that fits', () => {
  const [secret, tenantId] = [randomSecret(), newId()]
  const token = signToken(secret, { tenantId, scopes: ['agent:read', 'task:claim'], subject: 'someone/one' })
  const [header, claims, signature] = token.split('.')
  expect(read(header)).toEqual({ alg: 'HS256', typ: 'at+jwt' })
  expect(Value.Check(TokenClaims, read(claims))).toBe(true)
  expect(read(claims)).toMatchObject({ sub: 'someone/one', tenant: tenantId, scope: 'agent:read task:claim' })
  expect(createHmac('sha256', secret).update(`${header}.${claims}`).digest('base64url')).toBe(signature)
})

test('what a test wants broken is broken', () => {
  const token = signToken(randomSecret(), {
    tenantId: newId(),
    scopes: [],
    ttlS: -5,
    claims: { jti: undefined, sub: 7 },
    header: { typ: 'JWT' },
  })
  const [header, claims] = token.split('.').map((part, at) => (at < 2 ? read(part) : {}))
  expect(header).toMatchObject({ typ: 'JWT' })
  expect(claims).toMatchObject({ sub: 7 })
  expect(claims).not.toHaveProperty('jti')
  expect(Number(claims?.['exp'])).toBeLessThan(Date.now() / 1000)
})
