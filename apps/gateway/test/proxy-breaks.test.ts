import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { newId } from '@hypercode/contracts'
import { createFaultProxy, freePort, signTestToken, waitFor } from '@hypercode/testkit'
import { describe, expect } from 'vitest'
import { call } from './support/gateway.ts'
import type { TestGateway } from './support/gateway.ts'
import { startUpstream } from './support/upstream.ts'
import { test } from './support/proxied.ts'

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
