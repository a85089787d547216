import { ROUTES } from '@hypercode/contracts'
import { implement } from '@hypercode/http'
import { describe, expect, test } from 'vitest'
import { bearer, problemOf, sendRaw, serve, tokenFor } from './service.ts'
import type { TestService } from './service.ts'
import { echoService, entered, send } from './echo.ts'

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
