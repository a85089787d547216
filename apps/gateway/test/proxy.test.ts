import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { ARTIFACT_MAX_BYTES, newId } from '@hypercode/contracts'
import { createFaultProxy, freePort, signTestToken, waitFor } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { call, test as base } from './support/gateway.ts'
import type { Answer, TestGateway } from './support/gateway.ts'
import { startUpstream } from './support/upstream.ts'
import type { Seen, TestUpstream } from './support/upstream.ts'

const test = base
  .extend('upstream', async ({ task }, { onCleanup }): Promise<TestUpstream> => {
    void task
    const upstream = await startUpstream()
    onCleanup(async () => await upstream.close())
    return upstream
  })
  .extend('gateway', async ({ startGateway, upstream }): Promise<TestGateway> => {
    return await startGateway({ REGISTRY_URL: upstream.url, ORCHESTRATOR_URL: upstream.url })
  })
  .extend('token', ({ tokenFor }) =>
    tokenFor(['mission:read', 'mission:write', 'task:claim', 'agent:write', 'agent:read']),
  )

/** Bytes as they are, for what no HTTP client would send. */
async function raw(url: string, request: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.write(request)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

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

describe('bodies', () => {
  const artifact = (gateway: TestGateway) =>
    `${gateway.url}/v1/tasks/${newId()}/artifacts/x.bin?incarnation=1&attempt=1`

  test('of eight megabytes pass unread and unchanged, in both directions', async ({ gateway, upstream, token }) => {
    const bytes = randomBytes(ARTIFACT_MAX_BYTES)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const sent = await call<Seen>(artifact(gateway), { method: 'PUT', token, body: bytes })
    expect(sent.body).toMatchObject({ bytes: ARTIFACT_MAX_BYTES, sha256 })
    expect(sent.body.headers).toMatchObject({ 'content-length': String(ARTIFACT_MAX_BYTES) })

    upstream.answer = (_request, reply) => reply.type('application/octet-stream').send(bytes)
    const got = await fetch(artifact(gateway), { headers: { authorization: `Bearer ${token}` } })
    const back = Buffer.from(await got.arrayBuffer())
    expect(createHash('sha256').update(back).digest('hex')).toBe(sha256)
    expect(got.headers.get('content-security-policy')).toBe("default-src 'none'; sandbox")
    expect(got.headers.get('x-content-type-options')).toBe('nosniff')
  })

  test('without a length flow through as well', async ({ gateway, token }) => {
    const parts = [randomBytes(100_000), randomBytes(100_000)]
    const body = new ReadableStream({
      pull(controller) {
        const part = parts.shift()
        if (part === undefined) controller.close()
        else controller.enqueue(part)
      },
    })
    const init = { method: 'PUT', token, body, duplex: 'half' } as RequestInit & { token: string }
    expect((await call<Seen>(artifact(gateway), init)).body.bytes).toBe(200_000)
  })

  test('above the limit are refused by their length, before a byte is read', async ({ gateway, upstream, token }) => {
    const announced = await raw(
      gateway.url,
      `PUT ${new URL(artifact(gateway)).pathname} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: a/b\r\ncontent-length: ${ARTIFACT_MAX_BYTES + 1}\r\n\r\n`,
    )
    expect(announced).toMatch(/^HTTP\/1.1 413/)
    expect(announced).toContain('body_too_large')
    const json = await call(`${gateway.url}/v1/missions`, { method: 'POST', token, body: 'x'.repeat(262_145) })
    expect(json.status).toBe(413)
    expect(upstream.seen).toEqual([])
  })

  test('above the limit are refused while they stream when they do not say their length', async ({
    gateway,
    token,
  }) => {
    let sent = 0
    const body = new ReadableStream({
      pull(controller) {
        sent += 65_536
        if (sent > 4 * ARTIFACT_MAX_BYTES) controller.close()
        else controller.enqueue(new Uint8Array(65_536))
      },
    })
    const init = { method: 'PUT', token, body, duplex: 'half' } as RequestInit & { token: string }
    const outcome = await call(artifact(gateway), init).catch((error: unknown) => error)
    // The answer may be lost behind the bytes that are still on their way; then the connection is cut.
    if (!(outcome instanceof Error)) expect((outcome as Answer).body).toMatchObject({ code: 'body_too_large' })
    expect(sent).toBeLessThan(4 * ARTIFACT_MAX_BYTES)
    expect((await call(`${gateway.url}/v1/missions`, { token })).status).toBe(200)
  })

  test('of a GET are not passed on', async ({ gateway, upstream, token }) => {
    await raw(
      gateway.url,
      `GET /v1/missions HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer ${token}\r\ncontent-length: 5\r\n\r\nhello`,
    )
    expect(upstream.seen[0]).toMatchObject({ method: 'GET', bytes: 0 })
    expect(upstream.seen[0]?.headers['content-length']).toBeUndefined()
  })

  test('that break off end the request', async ({ gateway, upstream, token }) => {
    const { hostname, port } = new URL(gateway.url)
    for (const announced of [100, 200_000]) {
      const socket = connect(Number(port), hostname)
      socket.write(
        `PUT ${new URL(artifact(gateway)).pathname} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: a/b\r\ncontent-length: ${announced}\r\n\r\nabc`,
      )
      await waitFor(() => gateway.app.requestsInFlight() === 1, { what: 'the request to arrive' })
      socket.destroy()
      await waitFor(() => gateway.app.requestsInFlight() === 0, { what: 'the request to end' })
    }
    expect(upstream.seen).toEqual([])
  })
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

describe('a caller that hangs up', () => {
  test('while the service thinks: the service is told', async ({ gateway, upstream, token }) => {
    const gone = Promise.withResolvers<void>()
    upstream.answer = async (request) => {
      request.raw.socket.once('close', () => gone.resolve())
      await gone.promise
      return {}
    }
    const hangUp = new AbortController()
    const claim = call(`${gateway.url}/v1/claims`, { method: 'POST', token, json: {}, signal: hangUp.signal })
    await waitFor(() => upstream.seen.length === 1, { what: 'the claim to arrive' })
    hangUp.abort()

    await expect(claim).rejects.toThrow('aborted')
    await gone.promise
    await waitFor(() => gateway.app.requestsInFlight() === 0, { what: 'nothing in flight' })
    expect((await metric(gateway, 'hypercode_proxy_requests_in_flight')) ?? 0).toBe(0)
  })

  test('in the middle of a long answer: the service is told, and a slow caller is not buffered for', async ({
    gateway,
    upstream,
    token,
  }) => {
    let produced = 0
    const endless = new Readable({
      read() {
        produced += 65_536
        this.push(Buffer.alloc(65_536))
      },
    })
    upstream.answer = (_request, reply) => reply.type('application/octet-stream').send(endless)
    const { hostname, port } = new URL(gateway.url)
    const socket: Socket = connect(Number(port), hostname)
    socket.write(`GET /v1/tasks/${newId()}/artifacts/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`)
    await new Promise((resolve) => socket.once('readable', resolve))
    let last = -1
    await waitFor(
      () => {
        const stalled = produced === last
        last = produced
        return stalled
      },
      { what: 'the flow to stop', everyMs: 200 },
    )
    expect(produced).toBeLessThan(64 * 1024 * 1024)
    socket.destroy()
    await waitFor(() => endless.destroyed, { what: 'the service to be told' })
  })
})

test('on drain waiting claims are sent away, and what may have been carried out is waited for', async ({
  gateway,
  upstream,
  token,
}) => {
  const held = Promise.withResolvers<void>()
  upstream.answer = async (_request, _reply, { url }) => {
    await held.promise
    return { url }
  }
  const send = (path: string, method = 'POST') =>
    call(gateway.url + path, { method, token, ...(method === 'POST' && { json: {} }) })
  const claim = send('/v1/claims')
  const read = send(`/v1/missions/${newId()}`, 'GET')
  const submit = send('/v1/missions')
  await waitFor(() => upstream.seen.length === 3, { what: 'all to arrive' })
  gateway.app.beginDrain()

  for (const answer of await Promise.all([claim, read])) {
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(answer.body).toMatchObject({ code: 'unavailable' })
  }
  await waitFor(() => gateway.app.requestsInFlight() === 1, { what: 'the submit alone' })
  held.resolve()
  expect((await submit).status).toBe(200)
})

describe('a service that is away', () => {
  test('answers 503 with Retry-After within two seconds, and works again when it is back', async ({
    startGateway,
    token,
  }) => {
    const port = await freePort()
    const gateway = await startGateway({ ORCHESTRATOR_URL: `http://127.0.0.1:${port}` })
    const startedAt = performance.now()
    const answer = await call(`${gateway.url}/v1/missions`, { token })

    expect(performance.now() - startedAt).toBeLessThan(2000)
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(answer.headers.get('content-type')).toMatch('application/problem+json')
    expect(answer.body).toMatchObject({ code: 'unavailable', detail: 'The crew-orchestrator cannot be reached.' })
    expect(JSON.stringify(answer.body)).not.toContain(String(port))

    const upstream = await startUpstream(port)
    try {
      expect((await call(`${gateway.url}/v1/missions`, { token })).status).toBe(200)
    } finally {
      await upstream.close()
    }
  })

  test('dies before it answers: 502, with what to do about it', async ({ gateway, upstream, token }) => {
    upstream.answer = (request) => void request.raw.socket.destroy()
    const answer = await call(`${gateway.url}/v1/missions`, { method: 'POST', token, json: {} })

    expect(answer.status).toBe(502)
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(answer.body).toMatchObject({ code: 'bad_gateway' })
    expect(answer.body['fix']).toContain('Idempotency-Key')
    // Nothing is sent twice by the gateway: it cannot know whether the first was carried out.
    expect(upstream.seen).toHaveLength(1)
  })

  test('dies in the middle of its answer: the caller sees that it is not whole', async ({
    gateway,
    upstream,
    token,
  }) => {
    upstream.answer = (_request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200, { 'content-length': 1_000_000 })
      reply.raw.write(Buffer.alloc(200_000), () => reply.raw.destroy())
    }
    await expect(call(`${gateway.url}/v1/tasks/${newId()}/artifacts/x`, { token })).rejects.toThrow('terminated')
    // A short one is gathered first, so there is still room for a proper answer.
    upstream.answer = (_request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200, { 'content-length': 100 })
      reply.raw.write('half', () => reply.raw.destroy())
    }
    expect((await call(`${gateway.url}/v1/missions`, { token })).body).toMatchObject({ code: 'bad_gateway' })
  })

  test('takes the connection and is silent: the caller is not left hanging', async ({
    startGateway,
    upstream,
    token,
  }) => {
    const fault = await createFaultProxy(upstream.url)
    try {
      await fault.setMode('black-hole')
      const gateway = await startGateway({ ORCHESTRATOR_URL: fault.through(upstream.url) }, { answerMs: 500 })
      const startedAt = performance.now()
      const answer = await call(`${gateway.url}/v1/missions:batch`, { method: 'POST', token, json: {} })
      expect(answer.status).toBe(502)
      expect(answer.headers.get('retry-after')).toBe('1')
      expect(performance.now() - startedAt).toBeLessThan(4000)
    } finally {
      await fault.stop()
    }
  })
})

async function metric(gateway: TestGateway, name: string): Promise<number | undefined> {
  const text = await call<string>(`${gateway.url}/metrics`, {
    token: signTestToken({ tenantId: newId(), scopes: ['metrics:read'] }),
  })
  const line = text.body.split('\n').find((candidate) => candidate.startsWith(name))
  return line === undefined ? undefined : Number(line.split(' ').at(-1))
}
