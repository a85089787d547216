import { ROUTES } from '@hypercode/contracts'
import { implement } from '@hypercode/http'
import { currentContext } from '@hypercode/telemetry'
import { describe, expect, test } from 'vitest'
import { TENANT, bearer, serve } from './service.ts'

const open = { config: { public: true } } as const

describe('the correlation id', () => {
  test('of the caller goes through the handler, its log lines and the answer', async () => {
    const { url, logs } = await serve((app) => {
      implement(app, ROUTES.claimTasks, async (request) => {
        request.log.info('through the request')
        await new Promise((resolve) => setImmediate(resolve))
        app.log.info({ context: currentContext() }, 'through the context')
        return { tasks: [] }
      })
    })
    const response = await fetch(`${url}/v1/claims`, {
      method: 'POST',
      headers: {
        ...(await bearer('task:claim')),
        'content-type': 'application/json',
        'x-correlation-id': 'order-66.a',
      },
      body: JSON.stringify({ claimId: '01a2028a-1f54-73d7-833d-909f9c7f4a5e', incarnation: 1, max: 1 }),
    })
    expect(response.headers.get('x-correlation-id')).toBe('order-66.a')
    const lines = logs.filter(({ msg }) => String(msg).startsWith('through'))
    expect(lines).toHaveLength(2)
    for (const line of lines) expect(line).toMatchObject({ correlationId: 'order-66.a', tenantId: TENANT })
  })

  test.each(['', ' ', 'a b', 'a\tb', 'x'.repeat(129), 'ä', '{"a":1}', 'a;b'])('of %j is replaced', async (sent) => {
    const { url } = await serve()
    const response = await fetch(`${url}/livez`, {
      headers: {
        'x-correlation-id': encodeURIComponent(sent).length > 130 ? sent : Buffer.from(sent).toString('latin1'),
      },
    })
    expect(response.headers.get('x-correlation-id')).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('is never shared by requests that run at once', async () => {
    const { url } = await serve((app) => {
      app.post('/echo', open, async () => {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 5))
        return { id: currentContext().correlationId }
      })
    })
    const ids = Array.from({ length: 100 }, (_, i) => `call-${i}`)
    const answers = await Promise.all(
      ids.map(async (id) => {
        const headers = { 'x-correlation-id': id, 'content-type': 'application/json' }
        const response = await fetch(`${url}/echo`, {
          method: 'POST',
          headers,
          body: JSON.stringify({ pad: 'x'.repeat(5000) }),
        })
        return ((await response.json()) as { id: string }).id
      }),
    )
    expect(answers).toEqual(ids)
  })
})

test('a trace of the caller goes on, with a span of our own', async () => {
  const { url } = await serve(
    (app) => void app.get('/trace', open, () => ({ traceparent: currentContext().traceparent })),
  )
  const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const { traceparent } = (await (await fetch(`${url}/trace`, { headers: { traceparent: parent } })).json()) as {
    traceparent: string
  }
  expect(traceparent).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/)
  expect(traceparent).not.toBe(parent)
})

describe('metrics', () => {
  const metricsOf = async (url: string): Promise<string> =>
    await (await fetch(`${url}/metrics`, { headers: await bearer('metrics:read') })).text()

  test('count requests by route pattern and status, and never by path', async () => {
    const { url } = await serve((app) => {
      app.get('/things/:id', open, ({ params }) => ({ id: (params as { id: string }).id }))
    })
    await fetch(`${url}/things/secret-1`)
    await fetch(`${url}/things/secret-2`)
    await fetch(`${url}/elsewhere/secret-3`)
    await fetch(`${url}/metrics`)
    const text = await metricsOf(url)
    expect(text).toMatch(/^hypercode_http_requests_total\{method="GET",route="\/things\/:id",status="200",.*\} 2$/m)
    expect(text).toMatch(/^hypercode_http_requests_total\{method="GET",route="unmatched",status="404",.*\} 1$/m)
    expect(text).toMatch(/^hypercode_http_requests_total\{method="GET",route="\/metrics",status="401",.*\} 1$/m)
    expect(text).toMatch(/^hypercode_http_request_duration_seconds_count\{.*route="\/things\/:id".*\} 2$/m)
    expect(text).not.toContain('secret')
  })

  test('count a caller that hangs up as 499', async () => {
    const { url } = await serve((app) => {
      app.get('/slow', { config: { public: true, longLived: true } }, async () => {
        await new Promise((resolve) => setTimeout(resolve, 300))
        return {}
      })
    })
    await expect(fetch(`${url}/slow`, { signal: AbortSignal.timeout(50) })).rejects.toThrow('timeout')
    await expect.poll(() => metricsOf(url)).toMatch(/route="\/slow",status="499",.*\} 1$/m)
  })
})
