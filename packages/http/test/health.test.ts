import { Readiness } from '@hypercode/contracts'
import { CheckError } from '@hypercode/http'
import type { Check } from '@hypercode/http'
import { Value } from '@sinclair/typebox/value'
import { describe, expect, test } from 'vitest'
import { bearer, serve } from './service.ts'

async function ready(url: string): Promise<{ status: number; body: Readiness }> {
  const response = await fetch(`${url}/readyz`)
  const body = (await response.json()) as Readiness
  expect(Value.Check(Readiness, body)).toBe(true)
  return { status: response.status, body }
}

const withChecks = (checks: Record<string, Check>, checkTimeoutMs = 2000) => serve(() => {}, { checks, checkTimeoutMs })

describe('/readyz', () => {
  test('is green when every check is', async () => {
    const { url } = await withChecks({ database: async () => {}, loops: () => {} })
    const { status, body } = await ready(url)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      ready: true,
      service: 'test-service',
      checks: { database: { ok: true }, loops: { ok: true } },
    })
  })

  test('names the check that fails and tells only what may be told', async () => {
    const { url, logs } = await withChecks({
      good: () => {},
      loops: () => {
        throw new CheckError('no turn finished: sweep (31 s)')
      },
      database: async () => {
        throw Object.assign(new Error('connect ECONNREFUSED 10.1.2.3:6432'), { code: 'ECONNREFUSED' })
      },
      redis: async () => {
        throw new Error('password of redis://:hunter2@host is wrong')
      },
    })
    const { status, body } = await ready(url)
    expect(status).toBe(503)
    expect(body.ready).toBe(false)
    expect(Object.entries(body.checks).map(([name, { ok, detail }]) => [name, ok, detail])).toEqual([
      ['good', true, undefined],
      ['loops', false, 'no turn finished: sweep (31 s)'],
      ['database', false, 'ECONNREFUSED'],
      ['redis', false, 'failed'],
    ])
    expect(logs.filter(({ msg }) => msg === 'check failed').map(({ check }) => check)).toEqual([
      'loops',
      'database',
      'redis',
    ])
  })

  test('shows a check that is not critical and does not go by it', async () => {
    const down = { critical: false, run: () => Promise.reject(new CheckError('no answer')) } as const
    const { url } = await serve(() => {}, { checks: { redis: down, database: async () => {} } })
    const { status, body } = await ready(url)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      ready: true,
      checks: { redis: { ok: false, detail: 'no answer' }, database: { ok: true } },
    })
  })

  test('does not wait for a check that hangs', async () => {
    const { url } = await withChecks({ hangs: () => new Promise<void>(() => {}), good: () => {} }, 50)
    const { status, body } = await ready(url)
    expect(status).toBe(503)
    expect(body.checks).toMatchObject({ hangs: { ok: false, detail: 'no answer within 50 ms' }, good: { ok: true } })
  })

  test('asks once for callers that come together, and again for the next', async () => {
    let asked = 0
    const { url } = await withChecks({
      slow: async () => {
        asked++
        await new Promise((resolve) => setTimeout(resolve, 200))
      },
    })
    await Promise.all(Array.from({ length: 20 }, () => ready(url)))
    expect(asked).toBe(1)
    await ready(url)
    expect(asked).toBe(2)
  })

  test('is red while the service drains, when new requests are refused and /livez is not', async () => {
    const { app, url } = await serve((app) => void app.get('/work', { config: { public: true } }, () => ({})))
    app.beginDrain()
    const { status, body } = await ready(url)
    expect(status).toBe(503)
    expect(body).toMatchObject({ ready: false, checks: { draining: { ok: false } } })
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    const refused = await fetch(`${url}/work`)
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(refused.headers.get('connection')).toBe('close')
    expect(await refused.json()).toMatchObject({ code: 'unavailable', detail: 'The service is shutting down.' })
  })
})

test('/livez asks nobody', async () => {
  const { url } = await withChecks({ dead: () => Promise.reject(new Error('dead')) })
  const response = await fetch(`${url}/livez`)
  expect([response.status, await response.json()]).toEqual([
    200,
    { alive: true, service: 'test-service', version: '1.2.3' },
  ])
})

describe('/metrics', () => {
  test('needs metrics:read', async () => {
    const { url } = await serve()
    expect((await fetch(`${url}/metrics`)).status).toBe(401)
    expect((await fetch(`${url}/metrics`, { headers: await bearer('agent:read') })).status).toBe(403)
    const response = await fetch(`${url}/metrics`, { headers: await bearer('metrics:read') })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^text\/plain/)
  })

  test('is open in a service that has no keys', async () => {
    const { url } = await serve(() => {}, { auth: undefined })
    expect((await fetch(`${url}/metrics`)).status).toBe(200)
  })
})
