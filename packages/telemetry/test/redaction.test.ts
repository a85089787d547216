import { generateKeyPairSync, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scrubText } from '../src/index.ts'
import { recordedLogger } from './lines.ts'

const random = (bytes = 24): string => randomBytes(bytes).toString('base64url')
const jwt = (): string => `eyJhbGciOiJIUzI1NiJ9.${random(40)}.${random(32)}`
const pem = (): string => generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()

// Goal: of secrets that stray into log calls, none reaches a line, wherever it stands.
// Method: plant canaries, each in its own place, and look for every one of them in the raw text of all lines.
test('none of the planted secrets comes out', () => {
  const { log, text, lines } = recordedLogger()
  const planted: string[] = []
  const canary = (value: string = random()): string => {
    planted.push(value)
    return value
  }

  log.info({ authorization: `Bearer ${canary()}` }, 'header at the top')
  log.info({ headers: { authorization: canary(), cookie: canary(), 'Set-Cookie': [canary()] } }, 'headers')
  log.info({ a: { b: { c: { d: { e: { password: canary() } } } } } }, 'deep')
  log.info({ list: [{ items: [{ clientSecret: canary(), client_secret: canary() }] }] }, 'in lists')
  log.info({ token: { value: canary(), parts: [canary()] } }, 'an object under a telling name')
  log.info(
    { body: { access_token: canary(), refresh_token: canary(), apiKey: canary(), 'x-api-key': canary() } },
    'body',
  )
  log.info({ env: { JWT_SECRET: canary(), OPENAI_API_KEY: canary(), PGPASSWORD: canary() } }, 'environment')
  log.info(
    { req: { method: 'GET', url: `/v1/events?token=${canary()}`, headers: { authorization: canary() } } },
    'request',
  )
  log.info({ url: `http://127.0.0.1/cb?a=1&access_token=${canary()}&b=2` }, 'query')
  log.info({ database: `postgres://app:${canary()}@db:5432/hypercode` }, 'url')
  log.info(`connecting to redis://:${canary()}@cache:6379/0`)
  log.info('sent %s with %o', `Bearer ${canary()}`, { password: canary() })
  log.info(`the token ${canary(jwt())} was refused`)
  log.info(`key ${canary(`sk-proj-${random()}`)} and ${canary(`ghp_${randomBytes(18).toString('hex')}`)}`)
  log.info(`body was ${JSON.stringify({ password: canary(), nested: JSON.stringify({ client_secret: canary() }) })}`)
  log.error(new Error(`cannot reach postgres://app:${canary()}@db/hypercode`))
  log.error({ err: new Error('outer', { cause: new Error(`client_secret=${canary()} refused`) }) }, 'cause')
  log.error(
    { failure: Object.assign(new Error('x'), { config: { headers: { Authorization: canary() } } }) },
    'own fields',
  )
  log.info({ pairs: [{ name: 'authorization', value: canary() }], rawHeaders: ['Cookie', canary()] }, 'pairs')
  log.info({ headers: new Headers({ authorization: canary() }), map: new Map([['secret', canary()]]) }, 'containers')
  log.info(
    { key: canary(pem().split('\n')[1] ?? '') && pem(), text: `-----BEGIN PRIVATE KEY-----\n${canary()}\n-----END` },
    'pem',
  )
  log.child({ session: { token: { parts: [canary()] } } }).info('child')
  log
    .child({ a: 1 })
    .child({ login: { password: [canary()] } }, { level: 'trace' })
    .info('grandchild')
  const bound = log.child({})
  bound.setBindings({ login: { password: [canary()] } })
  bound.info('bound later')
  log.info({ toJSON: () => ({ password: canary() }), inner: { toJSON: () => ({ secret: canary() }) } }, 'toJSON')

  expect(planted.length).toBeGreaterThan(35)
  expect(lines().length).toBe(25)
  expect(planted.filter((value) => text().includes(value))).toEqual([])
  // and what is not secret is still there
  for (const kept of ['"a":{"b":{"c"', 'cb?a=1&', '&b=2', 'postgres://app:', '@db:5432/hypercode', 'own fields']) {
    expect(text()).toContain(kept)
  }
})

test('the secrets that the logger is told about are redacted wherever they stand', () => {
  const secrets = [random(), 'with "quotes" and /slashes?&', '', undefined, 'short']
  const { log, text } = recordedLogger({ secrets })
  const [plain = '', odd = ''] = secrets
  log.info({ note: `x${plain}y`, [plain]: 1, deep: [[{ note: odd }]], uri: encodeURIComponent(odd) }, `short ${odd}`)
  log.error(new Error(plain))
  for (const value of [plain, odd, JSON.stringify(odd).slice(1, -1), encodeURIComponent(odd)])
    expect(text()).not.toContain(value)
  expect(text()).toContain('short')
})

describe('scrubText', () => {
  test.each([
    ['Bearer abcdefghijk1', 'Bearer [redacted]'],
    ['bearer abcdefghijklmnopqrstuvwxyz', 'bearer [redacted]'],
    ['Basic YWxpY2U6c2VjcmV0', 'Basic [redacted]'],
    ['authorization=abc&x=1', 'authorization=[redacted]&x=1'],
    ['GET /cb?code=1&client_secret=abc%20def&state=2', 'GET /cb?code=1&client_secret=[redacted]&state=2'],
    ['postgres://app:p%40ss@db/x', 'postgres://app:[redacted]@db/x'],
    ['redis://:pass@cache', 'redis://:[redacted]@cache'],
    ['{"password":"a\\"b"}', '{"password":"[redacted]\\"b"}'],
    [`AKIA${'IOSFODNN7ABCDEFG'}`, '[redacted]'],
  ])('%j becomes %j', (text, expected) => {
    expect(scrubText(text)).toBe(expected)
  })

  test.each([
    'the token has expired',
    'scope-missing: needs agent:write',
    'task tsk_1 of mission 0198c2a4-5b1e-7c3d-8e9f-0a1b2c3d4e5f completed in 12 ms',
    'GET http://127.0.0.1:7010/v1/agents?skill=audit.secrets&limit=20',
    'password must have 16 characters',
    'at file:///srv/app/packages/http/src/problem.ts:12:5',
    'see https://hypercode.dev/problems/token-invalid',
    'user@example.org asked for basic access',
    'task-runner is risk-free-and-long-enough-to-look-like-a-key',
  ])('%j stays as it is', (text) => {
    expect(scrubText(text)).toBe(text)
  })

  // Goal: scrubbing a line of JSON leaves a line of JSON with the same keys, whatever stands in it.
  test('keeps JSON valid', () => {
    const nasty = fc.constantFrom(
      'Bearer ',
      'password=',
      '"password":"',
      '://u:p',
      '@',
      '\\',
      '"',
      "'",
      '-----BEGIN PRIVATE KEY-----',
      'eyJabcd.',
      'sk-aaaaaaaaaaaaaaaa',
      '=',
      ':',
      '&',
    )
    const text = fc
      .array(fc.oneof(nasty, fc.string({ maxLength: 8 })), { maxLength: 12 })
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(text, text, (first, second) => {
        const line = JSON.stringify({ first, second, third: { fourth: [second, first] } })
        const parsed = JSON.parse(scrubText(line)) as Record<string, unknown>
        expect(Object.keys(parsed)).toEqual(['first', 'second', 'third'])
      }),
      { numRuns: 2_000 },
    )
  })

  // Goal: a hostile text cannot hold the process up.
  test('takes time in proportion to the text', () => {
    const hostile = [
      'eyJaaaa.',
      'password=',
      '://a:',
      'Bearer ',
      '"password" : ',
      'sk-a-',
      'secret_',
      '-----BEGIN ',
      'a_token"',
      '@',
      'x://',
    ]
    for (const part of hostile) {
      const text = part.repeat(Math.ceil(200_000 / part.length))
      const before = performance.now()
      scrubText(text)
      expect(performance.now() - before).toBeLessThan(1_000)
    }
  })
})
