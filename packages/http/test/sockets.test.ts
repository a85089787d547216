import { once } from 'node:events'
import { Agent, get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { json } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { sendRaw, serve } from './service.ts'
import type { TestService } from './service.ts'

const open = { config: { public: true } } as const

const service = (): Promise<TestService> =>
  serve(
    (app) => {
      app.post('/echo', open, ({ body }) => body as object)
      app.get('/idle', open, ({ raw }) => ({ idleMs: raw.socket.timeout }))
      app.get('/poll', { config: { public: true, longLived: true } }, ({ raw }) => ({ idleMs: raw.socket.timeout }))
      app.get('/hangs', open, () => new Promise(() => {}))
      app.get('/patient', { config: { public: true, longLived: true } }, async () => {
        await new Promise((resolve) => setTimeout(resolve, 1500))
        return { done: true }
      })
    },
    { requestTimeoutMs: 500, handlerTimeoutMs: 300 },
  )

// Goal: nobody can hold a connection by sending slowly. Method: raw sockets that stop in the middle, with a short limit.
describe('a connection is closed', () => {
  test.each([
    ['after half of the head', 'GET /livez HTTP/1.1\r\nhost: x\r\nx-slow: '],
    [
      'after the first byte of a body',
      'POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{',
    ],
    [
      'after the first chunk',
      'POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n',
    ],
  ])('%s', async (_name, bytes) => {
    const { port } = await service()
    const startedAt = performance.now()
    const answer = await sendRaw(port, bytes)
    expect(performance.now() - startedAt).toBeLessThan(3000)
    expect(answer).toMatch(/^HTTP\/1.1 408 Request Timeout\r\n/)
    expect(answer).toContain('application/problem+json')
    expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ status: 408, code: 'request_timeout' })
  })

  test('and a request that was refused before its body came gets one answer', async () => {
    const { port } = await serve(
      (app) => void app.post('/guarded', { config: { scopes: ['agent:read'] } }, () => ({})),
      {
        requestTimeoutMs: 500,
      },
    )
    const answer = await sendRaw(port, 'POST /guarded HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{')
    expect(answer).toMatch(/^HTTP\/1.1 401 /)
    expect(answer.match(/HTTP\/1.1/g)).toHaveLength(1)
  })

  test('although a byte comes now and then', async () => {
    const { port } = await service()
    const socket = connect(port, '127.0.0.1')
    socket.write('POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n')
    const drip = setInterval(() => socket.write(' '), 50)
    onTestFinished(() => clearInterval(drip))
    socket.on('error', () => clearInterval(drip))
    socket.resume()
    const startedAt = performance.now()
    await once(socket, 'close')
    expect(performance.now() - startedAt).toBeLessThan(3000)
  })

  test('and hundreds of slow ones do not keep others from being served', async () => {
    const { port, url } = await service()
    const slow = Array.from({ length: 300 }, () => sendRaw(port, 'GET /livez HTTP/1.1\r\nhost: x\r\nx-slow: '))
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    const answers = await Promise.all(slow)
    expect(answers.filter((answer) => answer.startsWith('HTTP/1.1 408'))).toHaveLength(300)
  })
})

describe('a handler', () => {
  test('that does not answer is answered for with 503', async () => {
    const { url, logs, app } = await service()
    const response = await fetch(`${url}/hangs`)
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('1')
    expect(await response.json()).toMatchObject({ code: 'unavailable', detail: 'The request took too long.' })
    expect(logs.filter(({ level }) => level === 'error')).toMatchObject([{ route: '/hangs', code: 'unavailable' }])
    await expect.poll(() => app.requestsInFlight()).toBe(0)
  })

  test('of a long-lived route takes its time', async () => {
    const { url } = await service()
    expect(await (await fetch(`${url}/patient`)).json()).toEqual({ done: true })
  })
})

test('the limit on idle sockets is lifted for a long-lived request, and for that one alone', async () => {
  const { url } = await service()
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  const ports = new Set<number | undefined>()
  const ask = async (path: string): Promise<unknown> => {
    const [response] = (await once(get(url + path, { agent }), 'response')) as [IncomingMessage]
    ports.add(response.socket.localPort)
    return await json(response)
  }
  expect(await ask('/idle')).toEqual({ idleMs: 15_000 })
  expect(await ask('/poll')).toEqual({ idleMs: 0 })
  expect(await ask('/idle')).toEqual({ idleMs: 15_000 })
  expect(ports.size).toBe(1)
})
