import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ROUTES, newId } from '@hypercode/contracts'
import { createClient } from '@hypercode/client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { delayMs } from '../src/retries.ts'
import { cut, cutInside, json, problem, scripted } from './scripted-server.ts'
import type { Act } from './scripted-server.ts'

const ID = '01a2028a-1f54-73d7-833d-909f9c7f4a5e'
type Client = ReturnType<typeof createClient>

/** Calls that may be repeated as they stand … */
const SAFE: Record<string, (client: Client) => Promise<unknown>> = {
  GET: (client) => client.call(ROUTES.getMission, { params: { id: ID } }),
  PUT: (client) =>
    client.raw(ROUTES.putArtifact, { params: { id: ID, name: 'a' }, query: { incarnation: 1, attempt: 1 }, body: 'x' }),
  DELETE: (client) => client.call(ROUTES.deleteAgent, { params: { id: ID } }),
  'POST with an idempotency key': (client) =>
    client.call(ROUTES.submitMission, { body: { crew: 'c' }, idempotencyKey: 'k' }),
  'a claim': (client) => client.call(ROUTES.claimTasks, { body: { claimId: newId(), incarnation: 1, max: 1 } }),
  'a completion': (client) =>
    client.call(ROUTES.completeTasks, {
      body: { incarnation: 1, results: [{ taskId: ID, attempt: 1, outcome: 'completed' }] },
    }),
  'a heartbeat': (client) =>
    client.call(ROUTES.heartbeatAgent, { params: { id: ID }, body: { incarnation: 1, seq: 1 } }),
  'a heartbeat by its old path': (client) => client.call(ROUTES.heartbeatAlias, { body: { incarnation: 1, seq: 1 } }),
}

/** … and calls that would happen twice. */
const UNSAFE: Record<string, (client: Client) => Promise<unknown>> = {
  'POST without an idempotency key': (client) => client.call(ROUTES.submitMission, { body: { crew: 'c' } }),
  PATCH: (client) => client.call(ROUTES.updateAgent, { params: { id: ID }, body: { description: 'd' } }),
  'a new client': (client) => client.call(ROUTES.createClient, { body: { name: 'n', scopes: ['agent:read'] } }),
  'a rotation': (client) => client.call(ROUTES.rotateClient, { params: { id: ID } }),
}

/** Ways to fail that leave open whether the request was carried out. */
const UNKNOWN: Record<string, Act> = {
  'a cut connection': cut,
  'a cut answer': cutInside,
  '500': problem(500, 'internal'),
  '502': problem(502, 'bad_gateway'),
  '504': json({}, 504),
}

/** Ways to fail that say that nothing was done. */
const NOT_DONE: Record<string, Act> = { '429': problem(429, 'rate_limited'), '503': problem(503, 'unavailable') }

const good = json({ ok: true })

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

describe('what failed in an unknown way', () => {
  for (const [failure, act] of Object.entries(UNKNOWN)) {
    test.each(Object.entries(SAFE))(`(${failure}) is repeated: %s`, async (_name, call) => {
      const { client, seen } = await scripted([act, act, good])
      await call(client)
      expect(seen).toHaveLength(3)
      const [first, , third] = seen
      expect([third?.method, third?.url, third?.body]).toEqual([first?.method, first?.url, first?.body])
    })

    test.each(Object.entries(UNSAFE))(`(${failure}) is not repeated: %s`, async (_name, call) => {
      const { client, seen } = await scripted([act, good])
      await expect(call(client)).rejects.toThrow(/answered 50\d|: /)
      expect(seen).toHaveLength(1)
    })
  }
})

describe('what was not done', () => {
  for (const [failure, act] of Object.entries(NOT_DONE)) {
    test.each(Object.entries({ ...SAFE, ...UNSAFE }))(`(${failure}) is repeated: %s`, async (_name, call) => {
      const { client, seen } = await scripted([act, good])
      await call(client)
      expect(seen).toHaveLength(2)
    })
  }

  test('because nobody listened is repeated, whatever it is', async () => {
    const port = await freePort()
    const retry = { initialDelayMs: 200, maxDelayMs: 200, maxRetries: 50 }
    const client = createClient({ baseUrl: `http://127.0.0.1:${port}`, token: 't', retry })
    onTestFinished(() => client.close())
    let done = false
    const call = client.call(ROUTES.rotateClient, { params: { id: ID } }).finally(() => (done = true))
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(done).toBe(false)
    let served = 0
    const server = createServer((_request, response) => {
      served++
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
    onTestFinished(() => void server.close())
    server.listen(port, '127.0.0.1')
    expect((await call).status).toBe(200)
    expect(served).toBe(1)
  })
})

test.each([400, 401, 403, 404, 409, 412, 422, 501])('%i is never repeated', async (status) => {
  const { client, seen } = await scripted([problem(status, 'x'), good])
  await expect(client.call(ROUTES.listAgents)).rejects.toMatchObject({ status })
  expect(seen).toHaveLength(1)
})

test('tries have an end', async () => {
  const { client, seen } = await scripted([cut], { retry: { maxRetries: 3, initialDelayMs: 1 } })
  await expect(client.call(ROUTES.listAgents)).rejects.toMatchObject({ name: 'ConnectionError' })
  expect(seen).toHaveLength(4)
})

test('a claim that is repeated keeps its claimId', async () => {
  const { client, seen } = await scripted([cut, cut, good])
  await client.call(ROUTES.claimTasks, { body: { claimId: newId(), incarnation: 1, max: 1 } })
  expect(new Set(seen.map(({ body }) => (JSON.parse(body) as { claimId: string }).claimId)).size).toBe(1)
})

test('Retry-After of the server is waited for', async () => {
  const { client, seen } = await scripted([problem(503, 'unavailable', { 'retry-after': '1' }), good])
  await client.call(ROUTES.listAgents)
  expect((seen[1]?.at ?? 0) - (seen[0]?.at ?? 0)).toBeGreaterThanOrEqual(990)
})

test('a server that asks for a longer wait than allowed gets no retry', async () => {
  const { client, seen } = await scripted([problem(429, 'rate_limited', { 'retry-after': '31' }), good])
  await expect(client.call(ROUTES.listAgents)).rejects.toMatchObject({ status: 429, retryAfterMs: 31_000 })
  expect(seen).toHaveLength(1)
})

test('delays grow, are random from zero on, and have a bound', () => {
  const of = (attempt: number, asked?: number): number[] =>
    Array.from({ length: 500 }, () => delayMs(attempt, 100, 5000, asked))
  for (const [attempt, most] of [
    [1, 100],
    [2, 200],
    [5, 1600],
    [7, 5000],
    [60, 5000],
  ] as const) {
    const delays = of(attempt)
    expect(Math.max(...delays)).toBeLessThanOrEqual(most)
    expect(Math.max(...delays)).toBeGreaterThan(most * 0.8)
    expect(Math.min(...delays)).toBeLessThan(most * 0.2)
  }
  expect(Math.min(...of(1, 3000))).toBeGreaterThanOrEqual(3000)
  expect(Math.max(...of(1, 3000))).toBeLessThanOrEqual(3100)
})
