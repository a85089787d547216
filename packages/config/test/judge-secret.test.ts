import { generateKeyPairSync, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { judgeSecret } from '../src/index.ts'
import type { SecretKind } from '../src/index.ts'
import { BAD_VALUES, SHORT_VALUES } from './bad-values.ts'

const TEXT_KINDS = ['general', 'jwt', 'api-key', 'postgres-url', 'redis-url'] as const
type TextKind = (typeof TEXT_KINDS)[number]

/** A variable of this kind that carries the secret `text`. */
const carrier = (kind: TextKind, text: string): string => {
  if (kind === 'postgres-url') return `postgres://app:${encodeURIComponent(text)}@db.internal:5432/hypercode`
  if (kind === 'redis-url') return `redis://:${encodeURIComponent(text)}@cache.internal:6379/0`
  return text
}
const codes = (value: string, kind: SecretKind): string[] => judgeSecret(value, kind).map(({ code }) => code)
const told = (value: string, kind: SecretKind): string => JSON.stringify(judgeSecret(value, kind))

// Goal: no bad value passes for any kind, and no reason quotes it.
// Method: the whole table times all kinds of secrets.
describe.each(TEXT_KINDS)('a secret of kind %s', (kind) => {
  test.each(Object.entries({ ...BAD_VALUES, empty: '', 'too short': SHORT_VALUES[kind] }))(
    'is refused: %s',
    (_, bad) => {
      expect(judgeSecret(carrier(kind, bad), kind)).not.toEqual([])
      if (bad.trim().length > 3) {
        expect(told(carrier(kind, bad), kind)).not.toContain(bad.trim())
        expect(told(carrier(kind, bad), kind)).not.toContain(encodeURIComponent(bad.trim()))
      }
    },
  )

  // Goal: what `openssl rand` gives is never refused.
  // Method: random bytes of 32 to 96 bytes in the three usual spellings.
  test('random bytes are accepted', () => {
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 96 }).map((seed) => randomBytes(seed.length))
    const spelling = fc.constantFrom('base64', 'base64url', 'hex')
    fc.assert(
      fc.property(bytes, spelling, (buffer, encoding) => {
        expect(judgeSecret(carrier(kind, buffer.toString(encoding)), kind)).toEqual([])
      }),
      { numRuns: 500 },
    )
  })

  // Goal: no reason holds the value or a part of it, whatever the value is.
  test('no reason quotes any value', () => {
    const marked = fc.string({ minLength: 1, maxLength: 40 }).map((text) => `⟦${text}⟧`)
    fc.assert(
      fc.property(marked, (text) => {
        const answer = told(carrier(kind, text), kind)
        expect(answer).not.toContain('⟦')
        expect(answer).not.toContain(encodeURIComponent('⟦'))
      }),
    )
  })

  // Goal: repetition is seen whatever the block.
  test('a block of up to eight characters that is repeated is refused', () => {
    const block = fc.string({ minLength: 1, maxLength: 8, unit: fc.constantFrom(...'abcdefXYZ0123456789_-') })
    fc.assert(
      fc.property(block, (text) => {
        expect(judgeSecret(carrier(kind, text.repeat(Math.ceil(48 / text.length))), kind)).not.toEqual([])
      }),
    )
  })
})

test.each([
  ['a value of the right length with a known word in it', 'general', 'c0Vw8Jm2Qztest7Xr4Kd9Lp1Hs6Bf3GyUafoo'],
  ['a passphrase of words nobody lists', 'general', 'marmot-quartz-ladle-thicket-bramble-sprocket'],
  ['a key of OpenAI by its form', 'api-key', `sk-proj-${'Zb3kQx91LmPq7vTn4RsWd2Yh8CfJg5Ka0UeXiBoNc6'}`],
  ['a key of Stripe by its form', 'api-key', `sk_live_${'4eC39HqLyjWDarjtT1zdp7dcQw8xN2vB'}`],
  ['a password in percent escapes', 'postgres-url', 'postgres://app:k%40Gq2Xv%2FB9wLm%3A4Rt8@db/hypercode'],
  ['two hosts are one URL with a port', 'redis-url', 'rediss://app:c0Vw8Jm2Qz5Tn7Xr4Kd9@cache:6380/1'],
] as const)('%s is accepted', (_, kind, value) => {
  expect(judgeSecret(value, kind)).toEqual([])
})

test.each([
  ['stand-in', 'general', 'changethis'],
  ['stand-in', 'postgres-url', 'postgres://hypercode-service-a:hypercode-service-a@db/x'],
  ['too-short', 'general', SHORT_VALUES.general],
  ['too-long', 'general', randomBytes(4_096).toString('hex')],
  ['predictable', 'general', 'k7Gq2Xk7Gq2Xk7Gq2Xk7Gq2Xk7Gq2Xk7Gq2Xk7Gq2X'],
  ['low-entropy', 'general', 'aabbabababbaabbbaababbabaabbabbaabababbaab'],
  ['white-space', 'general', 'c0Vw8Jm2Qz5Tn7Xr4Kd9Lp1Hs6Bf3GyUa\n'],
  ['quoted', 'general', '"c0Vw8Jm2Qz5Tn7Xr4Kd9Lp1Hs6Bf3GyUa"'],
  ['unprintable', 'general', 'c0Vw8Jm2Qz5Tn7X\u0000r4Kd9Lp1Hs6Bf3GyUa'],
  ['empty', 'jwt', ''],
  ['empty', 'redis-url', 'redis://127.0.0.1:6379'],
  ['empty', 'postgres-url', 'postgres://hypercode@127.0.0.1:5432/hypercode'],
  ['not-a-url', 'postgres-url', 'c0Vw8Jm2Qz5Tn7Xr4Kd9Lp1Hs6Bf3GyUa'],
  ['not-a-url', 'postgres-url', 'mysql://app:c0Vw8Jm2Qz5Tn7Xr4Kd9@db/hypercode'],
  ['not-a-url', 'postgres-url', 'postgres://app:c0Vw8Jm2Qz5Tn7Xr4Kd9@db'],
  ['not-a-url', 'redis-url', 'http://:c0Vw8Jm2Qz5Tn7Xr4Kd9@cache'],
  ['not-a-url', 'redis-url', 'redis://:c0Vw8Jm2Qz5Tn7Xr4Kd9@cache/names'],
  ['stand-in', 'postgres-url', 'postgres://app@db/x?password=changethis'],
] as const)('%s is the reason for a bad %s', (code, kind, value) => {
  expect(codes(value, kind)).toContain(code)
})

test('a good value in quotes has one fault only, so that the way out is plain', () => {
  expect(codes('"c0Vw8Jm2Qz5Tn7Xr4Kd9Lp1Hs6Bf3GyUa"', 'general')).toEqual(['quoted'])
  expect(codes('c0Vw8Jm2Qz5Tn7Xr4Kd9Lp1Hs6Bf3GyUa\n', 'general')).toEqual(['white-space'])
})

describe('keys in PEM', () => {
  const pem = (type: 'private' | 'public'): string => {
    const pair = generateKeyPairSync('ed25519')
    return type === 'private'
      ? pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
      : pair.publicKey.export({ format: 'pem', type: 'spki' }).toString()
  }
  const weak = (): string => {
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 7)])
    return `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`
  }
  const rsa = (): string =>
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()

  test('fresh Ed25519 keys are accepted, with and without the last line break', () => {
    for (let round = 0; round < 20; round++) {
      expect(judgeSecret(pem('private'), 'private-key')).toEqual([])
      expect(judgeSecret(pem('private').trimEnd(), 'private-key')).toEqual([])
      expect(judgeSecret(pem('public'), 'public-key')).toEqual([])
    }
  })

  test.each<[string, 'private-key' | 'public-key', string]>([
    ['empty', 'private-key', ''],
    ['empty', 'private-key', '\n'],
    ['stand-in', 'private-key', 'changethis'],
    ['stand-in', 'private-key', '-----BEGIN PRIVATE KEY-----\nchangethis\n-----END PRIVATE KEY-----'],
    ['not-a-key', 'private-key', randomBytes(48).toString('base64')],
    ['not-a-key', 'private-key', pem('public')],
    ['not-a-key', 'private-key', pem('private').replaceAll('\n', '\\n')],
    ['not-a-key', 'private-key', pem('private').replace(/.(?=\n-----END)/, '!')],
    ['not-a-key', 'private-key', rsa()],
    ['low-entropy', 'private-key', weak()],
    ['quoted', 'private-key', `"${pem('private').trimEnd()}"`],
    ['white-space', 'private-key', `${pem('private')}\n\n`],
    ['not-a-key', 'public-key', pem('private')],
  ])('%s is the reason for a bad %s (%#)', (code, kind, value) => {
    expect(codes(value, kind)).toContain(code)
    const body = value.split('\n').find((line) => line.length > 20 && !line.includes('-----'))
    expect(told(value, kind)).not.toContain(body ?? '⟦')
  })
})
