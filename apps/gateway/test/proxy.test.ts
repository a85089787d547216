import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { call } from './support/gateway.ts'
import type { Seen } from './support/upstream.ts'
import { raw, test } from './support/proxied.ts'

const rawGet = async (url: string, path: string, token: string, method = 'GET'): Promise<string> =>
  await raw(url, `${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer ${token}\r\n\r\n`)

describe('a request that is passed on', () => {
  test('keeps method, query, body, token and its own headers', async ({ gateway, upstream, token }) => {
    const body = { incarnation: 1, seq: 2 }
    const id = newId()
    const answer = await call<Seen>(`${gateway.url}/v1/agents/${id}/heartbeat?x=%20y&x=2`, {
      method: 'POST',
      token,
      json: body,
      headers: { 'idempotency-key': 'abc', prefer: 'wait=3', 'if-match': '"1"' },
    })

    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({ method: 'POST', url: `/v1/agents/${id}/heartbeat?x=%20y&x=2` })
    expect(answer.body.bytes).toBe(JSON.stringify(body).length)
    expect(answer.body.headers).toMatchObject({
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      'idempotency-key': 'abc',
      prefer: 'wait=3',
      'if-match': '"1"',
      host: new URL(upstream.url).host,
    })
  })

  test('carries one correlation id and the trace through', async ({ gateway, token }) => {
    const given = await call<Seen>(`${gateway.url}/v1/missions`, {
      token,
      headers: {
        'x-correlation-id': 'order-7',
        traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      },
    })
    const fresh = await call<Seen>(`${gateway.url}/v1/missions`, { token })

    expect(given.headers.get('x-correlation-id')).toBe('order-7')
    expect(given.body.headers['x-correlation-id']).toBe('order-7')
    expect(given.body.headers['traceparent']).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-(?!00f067aa0ba902b7)/)
    expect(fresh.headers.get('x-correlation-id')).toBe(fresh.body.headers['x-correlation-id'])
    expect(fresh.body.headers['traceparent']).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  })

  // Goal: T22. Nothing that a caller writes can make the service believe that it came from somewhere else.
  test('cannot forge where it came from, nor smuggle headers of a connection', async ({ gateway, upstream, token }) => {
    const forged = {
      'X-Forwarded-For': '10.0.0.1',
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Prefix': '/admin',
      Forwarded: 'for=10.0.0.1',
      'X-Real-IP': '10.0.0.1',
      'X-Original-URL': '/v1/clients',
      'X-HTTP-Method-Override': 'DELETE',
      'Proxy-Authorization': 'Basic abc',
      TE: 'trailers',
      'X-Secret-Hop': 'mine',
      Connection: 'close, X-Secret-Hop',
      __proto__x: 'fine',
    }
    const lines = Object.entries(forged).map(([name, value]) => `${name}: ${value}\r\n`)
    const text = await raw(
      gateway.url,
      `GET /v1/missions HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer ${token}\r\n${lines.join('')}__proto__: x\r\n\r\n`,
    )

    expect(text).toMatch(/^HTTP\/1.1 200/)
    const { headers } = upstream.seen[0] as Seen
    expect(headers['x-forwarded-for']).toBe('127.0.0.1')
    expect(headers['x-forwarded-proto']).toBe('http')
    expect(headers['host']).toBe(new URL(upstream.url).host)
    for (const name of ['forwarded', 'x-forwarded-prefix', 'x-real-ip', 'x-original-url', 'x-http-method-override']) {
      expect(headers[name], name).toBeUndefined()
    }
    for (const name of ['proxy-authorization', 'te', 'x-secret-hop']) expect(headers[name], name).toBeUndefined()
  })

  test('says where it came from when a trusted proxy stands in front', async ({ startGateway, upstream, token }) => {
    const gateway = await startGateway({ ORCHESTRATOR_URL: upstream.url, TRUST_PROXY: '127.0.0.0/8' })
    const { body } = await call<Seen>(`${gateway.url}/v1/missions`, {
      token,
      headers: { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https' },
    })
    expect(body.headers).toMatchObject({ 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https' })
  })
})

describe('hostile paths', () => {
  // Goal: the gateway's router and the service's router never read one path in two ways (T22).
  // Method: each path goes over a bare socket; either nothing reaches the service, or what reaches it is the one canonical spelling.
  const id = '01890000-0000-7000-8000-000000000001'
  const nothing = [
    '//v1/missions',
    '/v1//missions',
    '/V1/missions',
    '/v1/Missions',
    '/v1/missions/',
    '/v1/missions;x=1',
    '/v1%2fmissions',
    '/v1/../v1/missions',
    '/./v1/missions',
    '/v1/missions/..',
    '/v1/missions/.',
    '/v1/missions/%2e%2e',
    '/v1/missions/%2e%2e%2fclients',
    '/v1/missions/a%2fb',
    '/v1/missions/a%3ab',
    '/v1/missions/%2E.',
    '/v1/missions/x/../../clients',
    '/v1\\missions',
    '/v1/missions%00',
    '/v1/missions/%',
    '/v1/missions/%c0%af',
    '/v1/clients/../missions',
    '/internal',
    '/metrics/../v1/missions',
    `/v1/missions/${id}/tasks/extra`,
    `/v1/missions/${'a'.repeat(300)}`,
  ]
  for (const path of nothing) {
    test(`${path.slice(0, 60)} reaches nothing`, async ({ gateway, upstream, token }) => {
      const answer = await rawGet(gateway.url, path, token)
      expect(upstream.seen).toEqual([])
      expect(answer).toMatch(/^HTTP\/1.1 (400|401|403|404|405|414|422) /)
    })
  }

  const canonical: [path: string, url: string][] = [
    ['/v1/missions/a;b=c', '/v1/missions/a%3Bb%3Dc'],
    [`/v1/agents/${id}%3adrain`, `/v1/agents/${id}:drain`],
    [`/v1/tasks/${id}/artifacts/a%2f..%2fb`, `/v1/tasks/${id}/artifacts/a%2F..%2Fb`],
    ['/v1/missions/%41bc', '/v1/missions/Abc'],
    ['/v1/%6dissions', '/v1/missions'],
    [`/v1/missions/${id}?a=/../b`, `/v1/missions/${id}?a=/../b`],
    [`/v1/missions/${id}?a=1#frag`, `/v1/missions/${id}?a=1`],
    [`/v1/tasks/${id}/artifacts/a%20b%3Fc`, `/v1/tasks/${id}/artifacts/a%20b%3Fc`],
  ]
  for (const [path, url] of canonical) {
    test(`${path} is written as ${url}`, async ({ gateway, upstream, token }) => {
      await rawGet(gateway.url, path, token, path.endsWith('drain') ? 'POST' : 'GET')
      expect(upstream.seen.map((seen) => seen.url)).toEqual([url])
    })
  }
})

describe('answers', () => {
  test('pass unchanged: status, headers and problem documents', async ({ gateway, upstream, token }) => {
    const problem = { type: 't', title: 'T', status: 409, code: 'fenced', correlationId: 'c' }
    upstream.answer = (_request, reply) =>
      reply
        .code(409)
        .header('content-type', 'application/problem+json')
        .header('retry-after', '7')
        .header('etag', '"5"')
        .header('set-cookie', ['a=1', 'b=2'])
        .header('keep-alive', 'timeout=1')
        .header('proxy-authenticate', 'Basic')
        .send(JSON.stringify(problem))
    const answer = await call(`${gateway.url}/v1/missions`, { token })

    expect(answer.status).toBe(409)
    expect(answer.body).toEqual(problem)
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(answer.headers.get('retry-after')).toBe('7')
    expect(answer.headers.get('etag')).toBe('"5"')
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(answer.headers.get('proxy-authenticate')).toBeNull()
    expect(answer.headers.get('keep-alive')).not.toBe('timeout=1')
  })

  test('without a body stay without one', async ({ gateway, upstream, token }) => {
    upstream.answer = (_request, reply) => reply.code(204).send()
    const answer = await call<string>(`${gateway.url}/v1/agents/${newId()}`, { method: 'DELETE', token })
    expect([answer.status, answer.body]).toEqual([204, ''])

    upstream.answer = (_request, reply) => reply.header('x-total', '5').send('12345')
    const head = await call<string>(`${gateway.url}/v1/missions`, { method: 'HEAD', token })
    expect([head.status, head.headers.get('x-total'), head.headers.get('content-length')]).toEqual([200, '5', '5'])
  })

  // Goal: two hundred callers at once, each gets its own answer and nobody else's (T, past failure 26).
  test('reach the one who asked', async ({ gateway, upstream, token }) => {
    upstream.answer = async (_request, _reply, { url }) => {
      await sleep(Math.random() * 20)
      return { url }
    }
    const asked = Array.from({ length: 200 }, () => newId())
    const answers = await Promise.all(asked.map(async (id) => call(`${gateway.url}/v1/missions/${id}`, { token })))
    expect(answers.map(({ body }) => body['url'])).toEqual(asked.map((id) => `/v1/missions/${id}`))
  })
})
