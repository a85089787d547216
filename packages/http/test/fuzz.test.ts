import { ROUTES } from '@hypercode/contracts'
import type { Problem, Route } from '@hypercode/contracts'
import { AppError, implement, parseJsonBody } from '@hypercode/http'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { buildService, tokenFor } from './service.ts'

const ALL_SCOPES = [
  'agent:read',
  'agent:write',
  'mission:read',
  'mission:write',
  'mission:cancel',
  'task:claim',
  'crew:write',
  'deadletter:write',
  'audit:read',
  'metrics:read',
  'token:issue',
] as const

const hostileText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '__proto__',
    'constructor',
    '\u0000',
    '\ud800',
    "' or 1=1 --",
    '../../etc/passwd',
    '${jndi:x}',
    '%00',
    '\u202e',
    '{',
    '-1',
    '1e400',
  ),
)
const hostileJson = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    hostileText,
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(hostileText, tie('value'), { maxKeys: 4 }),
  ),
})).value
const body = fc.oneof(
  hostileJson.map((value) => JSON.stringify(value)),
  hostileText,
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
)
const contentType = fc.constantFrom(
  'application/json',
  'application/json; charset=utf-8',
  'application/json\t',
  'text/plain',
  'application/x-www-form-urlencoded',
  'application/yaml',
  '',
  'x',
)

// Goal: nothing that anybody sends is our fault. Method: hostile paths, queries, headers and bodies for every route of the catalogue,
// whose handlers answer 409; what else comes must be an error of the caller, as a problem.
test('every answer to a hostile request is a problem of the caller', { timeout: 120_000 }, async () => {
  const routes: readonly Route[] = Object.values(ROUTES)
  const { app, logs } = await buildService((service) => {
    for (const route of routes) implement(service, route, () => Promise.reject(new AppError('conflict')))
  })
  const authorization = `Bearer ${await tokenFor(...ALL_SCOPES)}`
  const statuses = new Map<number, number>()
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...routes),
      fc.array(hostileText, { minLength: 2, maxLength: 2 }),
      hostileText,
      body,
      contentType,
      async (route, parts, text, payload, type) => {
        let part = 0
        const path = route.path.replaceAll(/\{\w+\}/g, () => encode(parts[part++] ?? ''))
        const name = Object.keys(route.query?.properties ?? { q: 1 })[0] ?? 'q'
        const headers = {
          authorization,
          ...(type !== '' && { 'content-type': type }),
          'idempotency-key': printable(text),
          prefer: printable(text),
        }
        const withBody = route.method === 'GET' ? {} : { payload: Buffer.from(payload) }
        const answer = await app.inject({
          method: route.method,
          url: `${path}?${encode(name)}=${encode(text)}`,
          headers,
          ...withBody,
        })
        statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1)
        expect(answer.statusCode).toBeGreaterThanOrEqual(400)
        expect(answer.statusCode).toBeLessThan(500)
        expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
        expect(answer.json<Problem>()).toMatchObject({
          status: answer.statusCode,
          type: expect.stringMatching(/^https:\/\/hypercode\.dev\/problems\/\w+$/),
        })
      },
    ),
    { numRuns: 3000 },
  )
  expect(logs.filter(({ level }) => level === 'error')).toEqual([])
  // The battery reaches validation, parsing and the handlers alike.
  for (const status of [400, 409, 415, 422]) expect(statuses.get(status)).toBeGreaterThan(0)
  await app.close()
})

/** Some of the texts go out as they are: what is no URL has to be refused as well. */
function encode(text: string): string {
  try {
    return encodeURIComponent(text)
  } catch {
    return '%ff'
  }
}

const printable = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '?')

test('JSON that is sound is parsed as everybody parses it', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 8, stringUnit: 'grapheme' }), (text) => {
      fc.pre(!text.includes('__proto__') && !text.includes('\\u'))
      expect(parseJsonBody(Buffer.from(text))).toEqual(JSON.parse(text))
    }),
  )
})

test('the depth of JSON is counted exactly, whatever stands between the brackets', () => {
  const fill = fc.constantFrom('', ' ', '"[{",', '"\\"[[[[",', '"\\\\",', '1,', '[],{},'.repeat(3))
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 80 }), fill, (depth, filling) => {
      const deep = `${`[${filling}`.repeat(depth)}1${']'.repeat(depth)}`
      const levels = depth + (filling.includes('[],') ? 1 : 0)
      if (levels <= 64) expect(parseJsonBody(Buffer.from(deep))).toBeInstanceOf(Array)
      else expect(() => parseJsonBody(Buffer.from(deep))).toThrow('64 levels')
    }),
  )
})
