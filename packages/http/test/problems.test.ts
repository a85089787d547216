import { ERRORS, Problem, ROUTES } from '@hypercode/contracts'
import type { ErrorCode } from '@hypercode/contracts'
import { AppError, implement } from '@hypercode/http'
import { Value } from '@sinclair/typebox/value'
import { describe, expect, test } from 'vitest'
import { bearer, problemOf, sendRaw, serve } from './service.ts'
import type { TestService } from './service.ts'

const open = { config: { public: true } } as const

async function expectProblem(response: Response, status: number, code: string): Promise<Problem> {
  expect(response.status).toBe(status)
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  const problem = await problemOf(response)
  expect(Value.Check(Problem, problem)).toBe(true)
  expect(problem).toMatchObject({ status, code, type: `https://hypercode.dev/problems/${code}` })
  expect(problem.correlationId).toBe(response.headers.get('x-correlation-id'))
  return problem
}

describe('an error of the API', () => {
  test('says what the handler says', async () => {
    const { url, logs } = await serve((app) => {
      app.get('/busy', open, () => {
        throw new AppError('unavailable', {
          detail: 'The queue is full.',
          fix: 'Wait.',
          faults: [{ pointer: '/a', message: 'b' }],
          retryAfterMs: 1200,
          headers: { 'x-more': 'yes' },
          cause: new Error('inner'),
        })
      })
    })
    const response = await fetch(`${url}/busy`)
    const problem = await expectProblem(response, 503, 'unavailable')
    expect(problem).toMatchObject({
      title: ERRORS.unavailable.title,
      detail: 'The queue is full.',
      fix: 'Wait.',
      faults: [{ pointer: '/a', message: 'b' }],
    })
    expect(response.headers.get('retry-after')).toBe('2')
    expect(response.headers.get('x-more')).toBe('yes')
    expect(logs.filter(({ level }) => level === 'error')).toHaveLength(1)
  })

  test.each(Object.keys(ERRORS) as ErrorCode[])('%s has the status of the catalogue', async (code) => {
    const { url } = await serve((app) => implement(app, ROUTES.getJwks, () => Promise.reject(new AppError(code))))
    await expectProblem(await fetch(`${url}/.well-known/jwks.json`), ERRORS[code].status, code)
  })
})

describe('a bug', () => {
  const secretText = 'duplicate key value violates unique constraint "agents_pkey"'

  test.each([
    ['an Error', () => new Error(secretText)],
    ['an Error with a status of our side', () => Object.assign(new Error(secretText), { statusCode: 502 })],
    ['an Error with a foreign code', () => Object.assign(new Error(secretText), { code: '23505' })],
    ['a text', () => secretText],
    ['null', () => null],
    ['nothing', () => undefined],
  ])('thrown as %s answers 500 without its text', async (_name, make) => {
    const { url, logs } = await serve((app) => {
      app.get('/bug', open, async () => {
        throw make()
      })
    })
    const response = await fetch(`${url}/bug`)
    const text = await response.clone().text()
    const problem = await expectProblem(response, 500, 'internal')
    expect(Object.keys(problem).toSorted()).toEqual(['code', 'correlationId', 'status', 'title', 'type'])
    expect(text).not.toContain('duplicate')
    const errors = logs.filter(({ level }) => level === 'error')
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatchObject({
      correlationId: problem.correlationId,
      code: 'internal',
      route: '/bug',
      method: 'GET',
    })
  })

  test('is logged with its stack, a fault of the caller without', async () => {
    const { url, logs } = await serve((app) => {
      app.get('/bug', open, () => {
        throw new Error('deep inside')
      })
    })
    await fetch(`${url}/bug`)
    await fetch(`${url}/nowhere`)
    const lines = logs.filter(({ code }) => code !== undefined)
    expect(lines.map(({ level, code }) => [level, code])).toEqual([
      ['error', 'internal'],
      ['info', 'not_found'],
    ])
    expect(JSON.stringify(lines[0])).toContain('deep inside')
    expect(JSON.stringify(lines[0])).toContain('problems.test.ts')
    expect(JSON.stringify(lines[1])).not.toContain('stack')
  })

  test('is told from a server that is away', async () => {
    const isUnavailable = (error: unknown): boolean => error instanceof Error && error.message.includes('ECONNREFUSED')
    const { url, logs } = await serve(
      (app) => {
        app.get('/away', open, () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.7:5432')))
        app.get('/bug', open, () => Promise.reject(new Error('other')))
        app.get('/own', open, () => Promise.reject(new AppError('conflict', { detail: 'ECONNREFUSED' })))
      },
      { isUnavailable },
    )
    const away = await fetch(`${url}/away`)
    const problem = await expectProblem(away, 503, 'unavailable')
    expect([away.headers.get('retry-after'), problem.detail]).toEqual([
      '1',
      'A server that this needs does not answer.',
    ])
    expect(JSON.stringify(logs)).toContain('10.0.0.7')
    await expectProblem(await fetch(`${url}/bug`), 500, 'internal')
    await expectProblem(await fetch(`${url}/own`), 409, 'conflict')
  })

  test('in an answer that does not fit its schema is one too', async () => {
    const { url } = await serve((app) => {
      implement(app, ROUTES.getCrew, async () => ({ id: 'x' }) as never)
    })
    const response = await fetch(`${url}/v1/crews/a/versions/latest`, { headers: await bearer('mission:read') })
    await expectProblem(response, 500, 'internal')
  })
})

describe('a path', () => {
  const service = (): Promise<TestService> =>
    serve((app) => {
      implement(app, ROUTES.getAgent, async () => ({}) as never)
      implement(app, ROUTES.deleteAgent, async () => undefined)
      implement(app, ROUTES.drainAgent, async () => ({}) as never)
      implement(app, ROUTES.listAgents, async () => ({ items: [] }))
    })
  const id = '01a2028a-1f54-73d7-833d-909f9c7f4a5e'

  test.each([
    '/',
    '/v2/agents',
    '//v1/agents',
    '/v1//agents',
    '/V1/agents',
    '/v1/agents;x',
    '/v1%2fagents',
    '/v1/agents/a/b',
    '/v1/agents/../agents/x/y',
    '/.env',
  ])('%s is unknown', async (path) => {
    const { port } = await service()
    const answer = await sendRaw(port, `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1.1 404 /)
    expect(answer).toContain('"code":"not_found"')
  })

  test.each([
    ['PUT', '/v1/agents', 'GET, HEAD'],
    ['POST', `/v1/agents/${id}`, 'DELETE, GET, HEAD'],
    ['PUT', `/v1/agents/${id}:drain`, 'POST'],
    ['GET', `/v1/agents/${id}:drain`, 'POST'],
    ['DELETE', `/v1/agents/${id}:drain`, 'POST'],
    ['POST', '/livez', 'GET, HEAD'],
    ['OPTIONS', '/v1/agents', 'GET, HEAD'],
  ])('does not know %s %s', async (method, path, allow) => {
    const { url } = await service()
    const response = await fetch(url + path, { method })
    expect(response.headers.get('allow')).toBe(allow)
    await expectProblem(response, 405, 'method_not_allowed')
  })

  test('a path that knows the method but has a part that no route takes is not found', async () => {
    const { url } = await service()
    const response = await fetch(`${url}/v1/agents/..%2fmetrics`)
    expect(response.headers.get('allow')).toBeNull()
    await expectProblem(response, 404, 'not_found')
  })

  test.each(['/v1/agents/%', '/v1/agents/%ff', '/v1/agents/%zz', '/%c0%ae'])('%s is no path', async (path) => {
    const { port } = await service()
    const answer = await sendRaw(port, `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1.1 40[04] /)
    expect(answer).toContain('application/problem+json')
    expect(answer).toContain('x-correlation-id: ')
    expect(answer).not.toContain('%')
  })

  test('with a very long part is refused', async () => {
    const { url } = await service()
    const response = await fetch(`${url}/v1/agents/${'a'.repeat(300)}`, { headers: await bearer('agent:read') })
    await expectProblem(response, 414, 'uri_too_long')
  })

  test('that is forged by a proxy header changes nothing', async () => {
    const { url } = await serve(
      (app) => void app.get('/who', open, ({ ip, protocol, host }) => ({ ip, protocol, host })),
    )
    const headers = { 'x-forwarded-for': '10.9.9.9', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil.test' }
    expect(await (await fetch(`${url}/who`, { headers })).json()).toEqual({
      ip: '127.0.0.1',
      protocol: 'http',
      host: new URL(url).host,
    })
  })

  test('behind a trusted proxy is of the caller', async () => {
    const { url } = await serve((app) => void app.get('/who', open, ({ ip }) => ({ ip })), {
      trustProxy: ['127.0.0.0/8'],
    })
    expect(await (await fetch(`${url}/who`, { headers: { 'x-forwarded-for': '10.9.9.9' } })).json()).toEqual({
      ip: '10.9.9.9',
    })
  })
})

describe('what is no request', () => {
  test('headers over the limit are 431', async () => {
    const { port } = await serve()
    const answer = await sendRaw(port, `GET /livez HTTP/1.1\r\nhost: x\r\nx-pad: ${'x'.repeat(17_000)}\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1.1 431 Request Header Fields Too Large\r\n/)
    expect(answer).toContain('application/problem+json')
    expect(answer).toContain('"code":"headers_too_large"')
  })

  test.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    ['two lengths', 'POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
    [
      'a length and chunks',
      'POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\na',
    ],
    ['a broken header', 'GET /livez HTTP/1.1\r\nhost: x\r\nbroken\r\n\r\n'],
    ['no host', 'GET /livez HTTP/1.1\r\n\r\n'],
    ['a chunk that is none', 'POST /livez HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
  ])('%s is 400 or cut off', async (_name, bytes) => {
    const { port } = await serve()
    expect(await sendRaw(port, bytes)).toMatch(/^HTTP\/1.1 (400|405) |^$/)
  })

  test('a header named __proto__ does no harm', async () => {
    const { port } = await serve()
    const answer = await sendRaw(port, 'GET /livez HTTP/1.1\r\nhost: x\r\n__proto__: x\r\nconnection: close\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1.1 200 /)
  })
})
