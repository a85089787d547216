import { createFaultProxy, signTestToken, waitFor } from '@hypercode/testkit'
import { expect, vi } from 'vitest'
import { createSharedCounter } from '../src/limits/shared-counter.ts'
import { call, test } from './support/gateway.ts'
import type { TestGateway } from './support/gateway.ts'

// Waiting for a fresh minute is a part of each test.
vi.setConfig({ testTimeout: 60_000 })

/** Far from the end of a window, so that no test is counted in two of them. */
async function freshMinute(): Promise<void> {
  await waitFor(() => Date.now() % 60_000 < 45_000, { what: 'a fresh minute', timeoutMs: 16_000, everyMs: 200 })
}

/** How many of `count` requests, one after the other over the gateways in turn, were not 429. */
async function admitted(gateways: readonly TestGateway[], count: number, token?: string, path = '/v1/clients') {
  let passed = 0
  for (let i = 0; i < count; i += 1) {
    const gateway = gateways[i % gateways.length] as TestGateway
    const { status } = await call(gateway.url + path, token === undefined ? {} : { token })
    if (status !== 429) passed += 1
  }
  return passed
}

test('a subject is held to its limit over two replicas, to within five per cent', async ({
  startGateway,
  tenant,
  tokenFor,
}) => {
  await freshMinute()
  const limits = { RATE_LIMIT_PER_MINUTE: '100' }
  const gateways = await Promise.all([startGateway(limits), startGateway(limits)])
  const token = tokenFor(['token:issue'], 'greedy')

  const passed = await admitted(gateways, 200, token)
  expect(passed).toBeGreaterThanOrEqual(95)
  expect(passed).toBeLessThanOrEqual(105)
  // Another token of the same subject is the same caller; another subject is not.
  const same = signTestToken({ tenantId: tenant.id, scopes: ['token:issue'], subject: 'greedy' })
  expect(await admitted(gateways, 6, same)).toBe(0)
  expect(await admitted(gateways, 6, tokenFor(['token:issue'], 'modest'))).toBe(6)
})

test('who sends too much is told when to come back', async ({ startGateway, tokenFor }) => {
  await freshMinute()
  const gateway = await startGateway({ RATE_LIMIT_PER_MINUTE: '2' })
  const token = tokenFor(['token:issue'])
  const first = await call(`${gateway.url}/v1/clients`, { token })
  await call(`${gateway.url}/v1/clients`, { token })
  const third = await call(`${gateway.url}/v1/clients`, { token })

  expect([first.headers.get('x-ratelimit-limit'), first.headers.get('x-ratelimit-remaining')]).toEqual(['2', '1'])
  expect(third.status).toBe(429)
  expect(third.headers.get('content-type')).toMatch('application/problem+json')
  expect(third.body).toMatchObject({ code: 'rate_limited', detail: 'More than 2 requests in a minute.' })
  expect(Number(third.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(Number(third.headers.get('retry-after'))).toBeLessThanOrEqual(60)
})

// Goal: without Redis the limit is neither open nor closed (S7): at most once for each replica.
test('holds without Redis, for each replica by itself', async ({ startGateway, redisUrl, tokenFor }) => {
  await freshMinute()
  const fault = await createFaultProxy(redisUrl)
  try {
    await fault.setMode('refuse')
    const env = { RATE_LIMIT_PER_MINUTE: '40', REDIS_URL: fault.through(redisUrl) }
    const gateways = await Promise.all([startGateway(env), startGateway(env)])
    const passed = await admitted(gateways, 160, tokenFor(['token:issue'], 'greedy'))

    expect(passed).toBeGreaterThanOrEqual(40)
    expect(passed).toBeLessThanOrEqual(80)
    await Promise.all(gateways.map(async (gateway) => await gateway.close()))
  } finally {
    await fault.stop()
  }
})

test('a Redis that takes commands and is silent slows nobody down', async ({ startGateway, redisUrl, tokenFor }) => {
  await freshMinute()
  const fault = await createFaultProxy(redisUrl)
  try {
    const gateway = await startGateway({ RATE_LIMIT_PER_MINUTE: '50', REDIS_URL: fault.through(redisUrl) })
    const token = tokenFor(['token:issue'])
    await call(`${gateway.url}/v1/clients`, { token })
    await fault.setMode('black-hole')
    const startedAt = performance.now()
    expect(await admitted([gateway], 60, token)).toBe(49)
    expect(performance.now() - startedAt).toBeLessThan(3000)
    await gateway.close()
  } finally {
    await fault.stop()
  }
})

test('an address is held to its limit on public routes and by refused tokens, and good tokens go on', async ({
  startGateway,
  tokenFor,
}) => {
  await freshMinute()
  const gateway = await startGateway({ RATE_LIMIT_IP_PER_MINUTE: '10' })
  expect(await admitted([gateway], 5, undefined, '/.well-known/jwks.json')).toBe(5)
  expect(await admitted([gateway], 5, 'not.a.token')).toBe(5)
  expect(await admitted([gateway], 3, 'not.a.token')).toBe(0)
  expect(await admitted([gateway], 3, undefined, '/.well-known/jwks.json')).toBe(0)
  const token = await call(`${gateway.url}/v1/auth/token`, { method: 'POST', json: {} })
  expect(token.status).toBe(429)

  expect(await admitted([gateway], 5, tokenFor(['token:issue']))).toBe(5)
  expect(await admitted([gateway], 30, undefined, '/livez')).toBe(30)
})

test('callers far from their limit cost Redis nothing, and their number has a bound', ({ redis }) => {
  const sent: string[] = []
  const counting = {
    incrby: async (key: string, by: number) => void sent.push(`${key}=${by}`),
    pexpire: async () => 1,
  } as unknown as typeof redis
  const counter = createSharedCounter({
    redis: counting,
    keyOf: (caller, window) => `${caller}:${window}`,
    onError: (error) => {
      throw error
    },
    keysMax: 3,
    now: () => 120_000,
  })

  for (let caller = 0; caller < 3; caller += 1) for (let i = 0; i < 19; i += 1) counter.hit(`c${caller}`, 60_000, 1000)
  expect(sent).toEqual([])
  counter.hit('c0', 60_000, 1000)
  expect(sent).toEqual(['c0:2=20'])
  // The fourth and the fifth caller share a count.
  expect(counter.hit('d', 60_000, 1000).current).toBe(1)
  expect(counter.hit('e', 60_000, 1000).current).toBe(2)
  expect(counter.hit('c1', 60_000, 1000)).toEqual({ current: 20, ttlMs: 60_000 })
})
