import { ROUTES, defineRoute } from '@hypercode/contracts'
import { implement } from '@hypercode/http'
import { Type } from '@sinclair/typebox'
import { describe, expect, test } from 'vitest'
import { bearer, problemOf, sendRaw, serve, tokenFor } from './service.ts'
import type { TestService } from './service.ts'

const closed = { additionalProperties: false } as const

/** A route that gives back what reached its handler. */
const echo = defineRoute({
  operationId: 'echo',
  service: 'agent-registry',
  tag: 'test',
  method: 'POST',
  path: '/v1/echo',
  summary: 'Give the body back',
  access: ['agent:write'],
  body: Type.Object(
    {
      title: Type.String({ minLength: 1, maxLength: 20 }),
      count: Type.Optional(Type.Integer({ minimum: 0, maximum: 9, default: 3 })),
      tags: Type.Optional(Type.Array(Type.String(), { maxItems: 4, uniqueItems: true })),
      nested: Type.Optional(Type.Object({ 'a/b': Type.Boolean() }, closed)),
      any: Type.Optional(Type.Unknown()),
    },
    { $id: 'Echo', ...closed },
  ),
  answers: { 200: Type.Unknown() },
})

const search = defineRoute({
  operationId: 'search',
  service: 'agent-registry',
  tag: 'test',
  method: 'GET',
  path: '/v1/search/{kind}',
  summary: 'Give the parameters back',
  access: ['agent:read'],
  params: Type.Object({ kind: Type.String({ pattern: '^[a-z]+$' }) }, closed),
  query: Type.Object(
    {
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 50 })),
      open: Type.Optional(Type.Boolean()),
      q: Type.Optional(Type.String()),
    },
    closed,
  ),
  headers: Type.Object({ 'x-depth': Type.Optional(Type.Integer()) }),
  answers: { 200: Type.Unknown() },
})

let entered = 0

const echoService = (): Promise<TestService> =>
  serve((app) => {
    entered = 0
    implement(app, echo, async (request) => {
      entered++
      return request.body
    })
    implement(app, search, async ({ params, query, headers }) => ({ params, query, depth: headers['x-depth'] }))
  })

async function send({ url }: TestService, body: string | Buffer, contentType = 'application/json'): Promise<Response> {
  const headers = { ...(await bearer('agent:write')), 'content-type': contentType }
  return await fetch(`${url}/v1/echo`, { method: 'POST', headers, body: body as string })
}

async function faultsOf(service: TestService, body: unknown): Promise<string[]> {
  const response = await send(service, JSON.stringify(body))
  expect(response.status).toBe(400)
  const problem = await problemOf(response)
  expect(problem.code).toBe('request_invalid')
  return (problem.faults ?? []).map(({ pointer, message }) => `${pointer} ${message}`)
}

// Goal: the body that reaches the handler is the body that was sent. Method: send what lenient parsers mend, expect 400.
describe('a body is judged as it was sent', () => {
  test('a good one arrives, with the defaults filled in', async () => {
    const response = await send(await echoService(), '{"title":"ok","any":{"x":[1,null]}}')
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ title: 'ok', count: 3, any: { x: [1, null] } })
  })

  test.each([
    ['a number for a string', { title: 5 }, '/title must be a string'],
    ['a string for a number', { title: 'a', count: '5' }, '/count must be a whole number'],
    ['null for a number', { title: 'a', count: null }, '/count must be a whole number'],
    ['true for a number', { title: 'a', count: true }, '/count must be a whole number'],
    ['a fraction for a whole number', { title: 'a', count: 1.5 }, '/count must be a whole number'],
    ['a value for a list', { title: 'a', tags: 'x' }, '/tags must be a list'],
    ['a string for a boolean', { title: 'a', nested: { 'a/b': 'true' } }, '/nested/a~1b must be true or false'],
    ['an unknown property', { title: 'a', tenantId: 'x' }, '/tenantId "tenantId" is not a property that is known here'],
    [
      'an unknown property inside',
      { title: 'a', nested: { 'a/b': true, 'c~d': 1 } },
      '/nested/c~0d "c~d" is not a property that is known here',
    ],
    ['a missing property', {}, '/title is missing'],
    ['too many', { title: 'a', tags: ['1', '2', '3', '4', '5'] }, '/tags must have at most 4 elements'],
    ['one thing twice', { title: 'a', tags: ['1', '1'] }, '/tags elements 0 and 1 are the same'],
    ['too long', { title: 'x'.repeat(21) }, '/title must have at most 20 characters'],
    ['too large', { title: 'a', count: 10 }, '/count must be at most 9'],
    ['a list for an object', [], ' must be an object'],
    ['a text for an object', 'title', ' must be an object'],
  ])('%s is a fault', async (_name, body, fault) => {
    expect(await faultsOf(await echoService(), body)).toEqual([fault])
    expect(entered).toBe(0)
  })

  test('all faults are told at once', async () => {
    const faults = await faultsOf(await echoService(), { count: -1, tags: [1, 2], extra: true })
    expect(faults.toSorted()).toEqual([
      '/count must be at least 0',
      '/extra "extra" is not a property that is known here',
      '/tags/0 must be a string',
      '/tags/1 must be a string',
      '/title is missing',
    ])
  })

  test('a fault never repeats the value', async () => {
    const service = await echoService()
    const response = await send(
      service,
      JSON.stringify({ title: 'hunter2-'.repeat(9), count: 'hunter2', tags: ['hunter2', 'hunter2'] }),
    )
    expect(await response.text()).not.toContain('hunter2')
    expect(JSON.stringify(service.logs)).not.toContain('hunter2')
  })

  test('a body with very many faults costs little', async () => {
    const service = await echoService()
    const before = process.cpuUsage()
    const response = await send(service, JSON.stringify({ title: 'a', tags: Array.from({ length: 60_000 }, () => 1) }))
    const { user } = process.cpuUsage(before)
    const { faults } = await problemOf(response)
    expect(faults?.length).toBe(1)
    expect(user / 1000).toBeLessThan(1000)
  })
})

describe('parameters are text, so numbers are read from it', () => {
  const get = async (path: string, headers: object = {}): Promise<Response> => {
    const { url } = await echoService()
    return await fetch(url + path, { headers: { ...(await bearer('agent:read')), ...headers } })
  }

  test('a good request arrives typed', async () => {
    const response = await get('/v1/search/open?limit=7&open=true&q=5', { 'x-depth': '2' })
    expect(await response.json()).toEqual({
      params: { kind: 'open' },
      query: { limit: 7, open: true, q: '5' },
      depth: 2,
    })
  })

  test.each([
    ['?limit=0', '/limit must be at least 1'],
    ['?limit=1.5', '/limit must be a whole number'],
    ['?limit=', '/limit must be a whole number'],
    ['?limit=1&limit=2', '/limit must be a whole number'],
    ['?open=yes', '/open must be true or false'],
    ['?tenant=x', '/tenant "tenant" is not a property that is known here'],
    ['?__proto__=x', '/__proto__ "__proto__" is not a property that is known here'],
  ])('%s is a fault', async (query, fault) => {
    const response = await get(`/v1/search/open${query}`)
    expect(response.status).toBe(400)
    const { faults, detail } = await problemOf(response)
    expect(faults?.map(({ pointer, message }) => `${pointer} ${message}`)).toEqual([fault])
    expect(detail).toContain('query string')
  })

  test('a bad path parameter is a fault of the path', async () => {
    expect((await problemOf(await get('/v1/search/OPEN'))).detail).toBe(
      'The path has a fault; /kind must match ^[a-z]+$.',
    )
  })

  test('a NUL in the query is refused', async () => {
    const response = await get('/v1/search/open?q=a%00b')
    expect(response.status).toBe(422)
    expect((await problemOf(response)).code).toBe('text_invalid')
  })
})

describe('what cannot be stored is refused at the edge', () => {
  const nest = (depth: number, open = '[', close = ']'): string =>
    `{"title":"a","any":${open.repeat(depth - 1)}${close.repeat(depth - 1)}}`

  test('64 levels pass, 65 do not', async () => {
    const service = await echoService()
    expect((await send(service, nest(64))).status).toBe(200)
    const deeper = await send(service, nest(65))
    expect(deeper.status).toBe(422)
    expect(await problemOf(deeper)).toMatchObject({
      code: 'unprocessable',
      detail: 'The body is nested more than 64 levels deep.',
    })
  })

  test('100,000 levels cost nothing', async () => {
    const service = await echoService()
    const before = process.cpuUsage()
    expect((await send(service, nest(100_000))).status).toBe(422)
    expect((await send(service, nest(20_000, '{"a":', '}').replace('}}', '1}}'))).status).toBe(422)
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(300)
  })

  test('brackets inside of strings are no levels', async () => {
    const body = JSON.stringify({ title: 'a', any: `\\"${'[{'.repeat(100)}"` })
    expect((await send(await echoService(), body)).status).toBe(200)
  })

  test.each([
    ['a NUL', '{"title":"a\\u0000b"}'],
    ['a NUL in a name', '{"title":"a","any":{"x\\u0000":1}}'],
    ['a high surrogate alone', '{"title":"a\\ud800"}'],
    ['a low surrogate alone', '{"title":"a","any":["\\uDC00x"]}'],
    ['surrogates in the wrong order', '{"title":"\\udc00\\ud800"}'],
  ])('%s is 422', async (_name, body) => {
    const response = await send(await echoService(), body)
    expect(response.status).toBe(422)
    expect((await problemOf(response)).code).toBe('text_invalid')
    expect(entered).toBe(0)
  })

  test('a pair of surrogates is a character', async () => {
    const response = await send(await echoService(), '{"title":"\\ud83d\\ude00 \\\\u0000"}')
    expect(await response.json()).toMatchObject({ title: '😀 \\u0000' })
  })

  test.each(['{"title":"a","__proto__":{"x":1}}', '{"title":"a","any":[{"\\u005f_proto__":1}]}'])(
    '%s is refused',
    async (body) => {
      expect((await send(await echoService(), body)).status).toBe(400)
      expect(entered).toBe(0)
    },
  )
})

describe('a body that is no JSON', () => {
  test.each([
    ['nothing', ''],
    ['blanks', '  '],
    ['half a document', '{"title":'],
    ['two documents', '{"title":"a"}{}'],
    ['a BOM', '\uFEFF{"title":"a"}'],
    ['a comment', '{"title":"a"/* */}'],
    ['NaN', '{"title":"a","any":NaN}'],
    ['a raw line break in a string', '{"title":"a\nb"}'],
    ['bytes that are no UTF-8', Buffer.from('{"title":"\xff"}', 'latin1')],
    ['UTF-16', Buffer.from('{"title":"a"}', 'utf16le')],
  ])('%s is 400', async (_name, body) => {
    const response = await send(await echoService(), body)
    expect(response.status).toBe(400)
    expect(await problemOf(response)).toMatchObject({
      code: 'request_invalid',
      title: 'The request does not fit its schema',
    })
    expect(entered).toBe(0)
  })

  test('no body at all is told as such', async () => {
    const { url } = await echoService()
    const response = await fetch(`${url}/v1/echo`, { method: 'POST', headers: await bearer('agent:write') })
    expect(response.status).toBe(400)
    expect((await problemOf(response)).detail).toBe('The request needs a JSON body.')
  })

  test('a body over the limit is 413, with and without a length', async () => {
    const service = await echoService()
    const large = JSON.stringify({ title: 'a', any: 'x'.repeat(262_144) })
    const response = await send(service, large)
    expect(response.status).toBe(413)
    expect((await problemOf(response)).code).toBe('body_too_large')
    const headers = { ...(await bearer('agent:write')), 'content-type': 'application/json' }
    const streamed = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from(large))
        controller.close()
      },
    })
    const init = { method: 'POST', headers, body: streamed, duplex: 'half' } as RequestInit
    expect((await fetch(`${service.url}/v1/echo`, init)).status).toBe(413)
  })
})

// Goal: no spelling of the content type leads around validation. Method: a body that the schema refuses and one that it takes,
// under every odd spelling; the first must never get in, the second only as what it is.
describe('a content type', () => {
  const BAD = '{"title":5,"tenantId":"x"}'
  const variants = [
    'application/json ;charset=utf-8',
    'application/json\t',
    'application/json\t; charset=utf-8',
    ' application/json',
    'application/json;',
    'application/json; charset=',
    'application/json;foo',
    'application/json; charset="utf-8',
    'APPLICATION/JSON',
    'Application/Json; Charset=UTF-8',
    'application/json; charset=utf-16',
    'application/json, text/plain',
    'application/json,application/json',
    'application/json\u00a0',
    'application/json/x',
    'application/jsonx',
    'application/x-json',
    'application /json',
    'application/vnd.api+json',
    'application/merge-patch+json',
    'text/json',
    'text/plain',
    'text/plain; application/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/octet-stream',
    'application/yaml',
    '*/*',
    'json',
    '/',
    ';',
    '"application/json"',
  ]

  test.each(variants)('of %j never skips validation', async (contentType) => {
    const { port } = await echoService()
    const token = await tokenFor('agent:write')
    const head = `POST /v1/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer ${token}\r\ncontent-length: ${BAD.length}\r\n`
    const answer = await sendRaw(port, Buffer.from(`${head}content-type: ${contentType}\r\n\r\n${BAD}`, 'latin1'))
    expect(answer).toMatch(/^HTTP\/1.1 4(00|15) /)
    expect(answer).toContain('application/problem+json')
    expect(entered).toBe(0)
  })

  test('that is missing with a body is 415', async () => {
    const { port } = await echoService()
    const head = `POST /v1/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer ${await tokenFor('agent:write')}\r\n`
    expect(await sendRaw(port, `${head}content-length: ${BAD.length}\r\n\r\n${BAD}`)).toMatch(/^HTTP\/1.1 415 /)
    expect(await sendRaw(port, `${head}transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 415 /,
    )
    expect(entered).toBe(0)
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/yaml', 'application/vnd.api+json'])(
    'of %s is 415',
    async (contentType) => {
      const response = await send(await echoService(), '{"title":"a"}', contentType)
      expect([response.status, (await problemOf(response)).code]).toEqual([415, 'unsupported_media_type'])
    },
  )

  test('with a charset is still JSON', async () => {
    expect((await send(await echoService(), '{"title":"ä"}', 'application/json; charset=utf-8')).status).toBe(200)
  })
})

describe('a route without a body', () => {
  const service = (): Promise<TestService> =>
    serve((app) =>
      implement(app, ROUTES.rotateClient, async () => ({
        id: 'x',
        name: 'x',
        scopes: [],
        createdAt: '2026-01-01T00:00:00Z',
        secret: 's',
      })),
    )
  const path = '/v1/clients/01a2028a-1f54-73d7-833d-909f9c7f4a5e:rotate'

  test('takes none, or an empty object', async () => {
    const { url } = await service()
    const headers = await bearer('token:issue')
    expect((await fetch(url + path, { method: 'POST', headers })).status).toBe(200)
    expect(
      (
        await fetch(url + path, {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/json' },
          body: '{}',
        })
      ).status,
    ).toBe(200)
  })

  test.each(['{"secret":"x"}', '[1]', '"x"', '5', 'true'])('refuses %s', async (body) => {
    const { url } = await service()
    const headers = { ...(await bearer('token:issue')), 'content-type': 'application/json' }
    const response = await fetch(url + path, { method: 'POST', headers, body })
    expect(response.status).toBe(400)
    expect((await problemOf(response)).detail).toBe('This operation takes no body.')
  })
})

test('a body that may be left out arrives as undefined', async () => {
  const seen: unknown[] = []
  const { url } = await serve((app) => {
    implement(app, ROUTES.cancelMission, async ({ body }, reply) => {
      seen.push(body)
      return reply.code(409).send({ type: 't', title: 't', status: 409, code: 'c', correlationId: 'c' })
    })
  })
  const path = `${url}/v1/missions/01a2028a-1f54-73d7-833d-909f9c7f4a5e:cancel`
  const headers = await bearer('mission:cancel')
  const json = { ...headers, 'content-type': 'application/json' }
  await fetch(path, { method: 'POST', headers })
  await fetch(path, { method: 'POST', headers: json, body: '{"reason":"no need"}' })
  expect(seen).toEqual([undefined, { reason: 'no need' }])
  expect((await fetch(path, { method: 'POST', headers: json, body: '{"reason":5}' })).status).toBe(400)
})

describe('bodies that are not JSON', () => {
  const tokenService = (): Promise<TestService> =>
    serve((app) => {
      implement(app, ROUTES.issueToken, async ({ body }) => ({
        access_token: body.client_id ?? '',
        token_type: 'Bearer',
        expires_in: 1,
        scope: '',
      }))
    })
  const form = { 'content-type': 'application/x-www-form-urlencoded' }

  test('a form is checked against the same schema as JSON', async () => {
    const { url } = await tokenService()
    const post = (body: string, headers: Record<string, string> = form): Promise<Response> =>
      fetch(`${url}/v1/auth/token`, { method: 'POST', headers, body })
    const good = await post('grant_type=client_credentials&client_id=a%20b')
    expect(await good.json()).toMatchObject({ access_token: 'a b' })
    expect((await post('grant_type=password')).status).toBe(400)
    expect((await post('grant_type=client_credentials&admin=1')).status).toBe(400)
    expect((await post('grant_type=client_credentials&client_id=a&client_id=b')).status).toBe(400)
    expect((await post('grant_type=client_credentials&client_id=%00')).status).toBe(422)
    expect((await post('"grant_type"', { 'content-type': 'application/json' })).status).toBe(400)
    expect((await post('grant_type=client_credentials', { 'content-type': 'text/plain' })).status).toBe(415)
  })

  test('bytes arrive as they were sent, whatever their type', async () => {
    let body: Buffer | undefined
    const { url } = await serve((app) => {
      implement(app, ROUTES.putArtifact, async (request, reply) => {
        body = request.body
        return reply.code(409).send({ type: 't', title: 't', status: 409, code: 'c', correlationId: 'c' })
      })
    })
    const path = `${url}/v1/tasks/01a2028a-1f54-73d7-833d-909f9c7f4a5e/artifacts/a.bin?incarnation=1&attempt=1`
    const bytes = Buffer.from([0, 255, 1, 254])
    for (const contentType of ['application/octet-stream', 'application/json', 'text/plain', 'image/png']) {
      const headers = { ...(await bearer('task:claim')), 'content-type': contentType }
      body = undefined
      await fetch(path, { method: 'PUT', headers, body: bytes })
      expect(body).toEqual(bytes)
    }
    await fetch(path, { method: 'PUT', headers: await bearer('task:claim') })
    expect(body).toEqual(Buffer.alloc(0))
  })

  test('YAML arrives as text, JSON of the same route is checked', async () => {
    const seen: unknown[] = []
    const { url } = await serve((app) => {
      implement(app, ROUTES.validateCrew, async ({ body }) => {
        seen.push(typeof body)
        return { valid: true, faults: [] }
      })
    })
    const post = async (contentType: string, body: string): Promise<number> =>
      (
        await fetch(`${url}/v1/crews:validate`, {
          method: 'POST',
          headers: { ...(await bearer('crew:write')), 'content-type': contentType },
          body,
        })
      ).status
    expect(await post('application/yaml', 'kind: Crew')).toBe(200)
    expect(await post('text/yaml', 'a: "b')).toBe(200)
    expect(await post('application/json', '{"kind":"Crew"}')).toBe(400)
    expect(await post('application/yaml', 'a: \u0000')).toBe(422)
    expect(seen).toEqual(['string', 'string'])
  })

  test('a handler can ask for the text of every body', async () => {
    const { url } = await serve((app) => {
      implement(
        app,
        ROUTES.validateCrew,
        async ({ body }) => ({ valid: false, faults: [{ pointer: '', message: body }] }),
        { body: 'text' },
      )
    })
    const headers = { ...(await bearer('crew:write')), 'content-type': 'application/json' }
    const response = await fetch(`${url}/v1/crews:validate`, { method: 'POST', headers, body: '{"kind": 5' })
    expect(await response.json()).toEqual({ valid: false, faults: [{ pointer: '', message: '{"kind": 5' }] })
  })
})
