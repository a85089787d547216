import { ROUTES, newId } from '@hypercode/contracts'
import { createClient } from '@hypercode/client'
import { withContext } from '@hypercode/telemetry'
import { describe, expect, onTestFinished, test } from 'vitest'
import { json, scripted, silence } from './scripted-server.ts'

const ID = '01a2028a-1f54-73d7-833d-909f9c7f4a5e'

describe('a call', () => {
  test('sends what the route says and gives the answer back', async () => {
    const { client, seen } = await scripted([json({ items: [] }, 200, { etag: '"5"' })])
    const answer = await client.call(ROUTES.listMissionTasks, {
      params: { id: ID },
      query: { limit: 5, cursor: undefined },
    })
    expect(answer).toEqual({ status: 200, body: { items: [] }, headers: expect.objectContaining({ etag: '"5"' }) })
    expect(seen).toMatchObject([
      { method: 'GET', url: `/v1/missions/${ID}/tasks?limit=5`, headers: { authorization: 'Bearer test-token' } },
    ])
  })

  test('encodes what stands in the path and in the query', async () => {
    const { client, seen } = await scripted([json({ items: [] })])
    await client.call(ROUTES.listAgents, { query: { q: 'a&b=c d/ü' } })
    await client.raw(ROUTES.getArtifact, { params: { id: ID, name: 'a/../b?c' } })
    expect(seen.map(({ url }) => url)).toEqual([
      '/v1/agents?q=a%26b%3Dc+d%2F%C3%BC',
      `/v1/tasks/${ID}/artifacts/a%2F..%2Fb%3Fc`,
    ])
  })

  test('sends JSON and an idempotency key', async () => {
    const { client, seen } = await scripted([json({}, 202)])
    const answer = await client.call(ROUTES.submitMission, {
      body: { crew: 'audit', input: { path: 'ä' } },
      headers: { prefer: 'wait=1' },
      idempotencyKey: 'key-1',
    })
    expect(answer.status).toBe(202)
    expect(seen[0]?.headers).toMatchObject({
      'content-type': 'application/json',
      'idempotency-key': 'key-1',
      prefer: 'wait=1',
    })
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({ crew: 'audit', input: { path: 'ä' } })
  })

  test('without a body sends none', async () => {
    const { client, seen } = await scripted([json({})])
    await client.call(ROUTES.drainAgent, { params: { id: ID } })
    expect(seen[0]?.body).toBe('')
    expect(seen[0]?.headers['content-type']).toBeUndefined()
  })

  test('carries the correlation id and the trace of the work at hand', async () => {
    const { client, seen } = await scripted([json({ items: [] })])
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    await withContext({ correlationId: 'order-66', traceparent }, () => client.call(ROUTES.listAgents))
    await client.call(ROUTES.listAgents)
    expect(seen[0]?.headers).toMatchObject({ 'x-correlation-id': 'order-66', traceparent })
    expect(seen[1]?.headers).not.toHaveProperty('x-correlation-id')
  })

  test('keeps the path of the base URL', async () => {
    const { url, seen } = await scripted([json({ items: [] })])
    const client = createClient({ baseUrl: `${url}/platform/`, token: 't' })
    onTestFinished(() => client.close())
    await client.call(ROUTES.listAgents)
    expect(seen[0]?.url).toBe('/platform/v1/agents')
  })

  test('without an answer body gives undefined', async () => {
    const { client } = await scripted([(response) => void response.writeHead(204).end()])
    expect(await client.call(ROUTES.deleteAgent, { params: { id: ID } })).toMatchObject({
      status: 204,
      body: undefined,
    })
  })

  test('of a public route shows no token', async () => {
    const { client, seen } = await scripted([json({ keys: [] })])
    await client.call(ROUTES.getJwks)
    expect(seen[0]?.headers.authorization).toBeUndefined()
  })

  test('uses its connections again, and no more than it may', async () => {
    const ports = new Set<number | undefined>()
    const { client } = await scripted(
      [
        async (response, request) => {
          ports.add(request.socket.remotePort)
          await new Promise((resolve) => setTimeout(resolve, 2))
          response.writeHead(200, { 'content-type': 'application/json' }).end('{"items":[]}')
        },
      ],
      { maxConnections: 3 },
    )
    await Promise.all(Array.from({ length: 60 }, () => client.call(ROUTES.listAgents)))
    await Promise.all(Array.from({ length: 60 }, () => client.call(ROUTES.listAgents)))
    expect(ports.size).toBe(3)
  })
})

describe('bytes', () => {
  test('go out and come back as they are', async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 128])
    let received: Buffer | undefined
    const { client, seen } = await scripted([
      (response, _request, body) => {
        received = body
        response.writeHead(201, { 'content-type': 'application/json' }).end('{"name":"a"}')
      },
      (response) => void response.writeHead(200, { 'content-type': 'image/png' }).end(bytes),
    ])
    const params = { id: ID, name: 'a.png' }
    const stored = await client.raw(ROUTES.putArtifact, {
      params,
      query: { incarnation: 1, attempt: 2 },
      body: bytes,
      contentType: 'image/png',
    })
    expect(received).toEqual(bytes)
    expect(stored).toMatchObject({ status: 201, body: Buffer.from('{"name":"a"}') })
    expect(seen[0]).toMatchObject({
      url: `/v1/tasks/${ID}/artifacts/a.png?incarnation=1&attempt=2`,
      headers: { 'content-type': 'image/png' },
    })
    expect((await client.raw(ROUTES.getArtifact, { params })).body).toEqual(bytes)
  })

  test('over 16 MiB are refused', async () => {
    const { client } = await scripted(
      [(response) => void response.writeHead(200).end(Buffer.alloc(17 * 1024 * 1024))],
      { retry: { maxRetries: 0 } },
    )
    const call = client.raw(ROUTES.getArtifact, { params: { id: ID, name: 'a' } })
    await expect(call).rejects.toThrow(/larger than 16777216 bytes/)
  })
})

describe('time', () => {
  test('bounds one try', async () => {
    const { client } = await scripted([silence], { timeoutMs: 50, retry: { maxRetries: 0 } })
    const startedAt = performance.now()
    await expect(client.call(ROUTES.listAgents)).rejects.toThrow('GET /v1/agents: no answer within 50 ms')
    expect(performance.now() - startedAt).toBeLessThan(1000)
  })

  test('bounds an answer that comes too slowly', async () => {
    const { client } = await scripted(
      [
        (response) => {
          response.writeHead(200, { 'content-type': 'application/json' })
          const drip = setInterval(() => response.write(' '), 10)
          response.on('close', () => clearInterval(drip))
        },
      ],
      { timeoutMs: 80, retry: { maxRetries: 0 } },
    )
    await expect(client.call(ROUTES.listAgents)).rejects.toThrow('no answer within 80 ms')
  })

  test('bounds the wait for a free connection', async () => {
    const { client } = await scripted([silence], { timeoutMs: 60, maxConnections: 1, retry: { maxRetries: 0 } })
    const calls = await Promise.allSettled(Array.from({ length: 5 }, () => client.call(ROUTES.listAgents)))
    expect(calls.map(({ status }) => status)).toEqual(Array.from({ length: 5 }, () => 'rejected'))
  })

  test('of a long poll comes on top', async () => {
    const { client } = await scripted(
      [
        async (response) => {
          await new Promise((resolve) => setTimeout(resolve, 250))
          response.writeHead(200, { 'content-type': 'application/json' }).end('{"tasks":[]}')
        },
      ],
      { timeoutMs: 100, retry: { maxRetries: 0 } },
    )
    const claim = { claimId: newId(), incarnation: 1, max: 1 }
    expect((await client.call(ROUTES.claimTasks, { body: { ...claim, waitMs: 1000 } })).body).toEqual({ tasks: [] })
    expect((await client.call(ROUTES.getMission, { params: { id: ID }, headers: { prefer: 'wait=1' } })).status).toBe(
      200,
    )
    await expect(client.call(ROUTES.claimTasks, { body: claim })).rejects.toThrow('within 100 ms')
  })
})

test('a client takes credentials or a token, and a URL of HTTP', () => {
  const credentials = { clientId: 'c', clientSecret: 's' }
  expect(() => createClient({ baseUrl: 'http://x', token: 't', credentials })).toThrow('not both')
  expect(() => createClient({ baseUrl: 'file:///etc/passwd' })).toThrow('http')
  expect(() => createClient({ baseUrl: 'nonsense' })).toThrow('URL')
})
