import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { test as base, expect } from 'vitest'
import { createFaultProxy, waitFor } from '../src/tools.ts'
import type { FaultProxy } from '../src/tools.ts'

/** A server that answers every chunk with `re:` and the chunk, and remembers what it got. */
async function startEcho(): Promise<{ url: string; got: string[]; stop: () => Promise<void> }> {
  const got: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      got.push(String(chunk))
      socket.write(`re:${String(chunk)}`)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    got,
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface Caller {
  readonly socket: Socket
  /** Everything received so far. */
  readonly text: string
  readonly errorCode: string | undefined
}

async function call(proxy: FaultProxy): Promise<Caller> {
  const socket = connect({ port: proxy.port, host: '127.0.0.1', noDelay: true })
  let text = ''
  let errorCode: string | undefined
  socket.on('data', (chunk: Buffer) => (text += String(chunk)))
  socket.on('error', (error: NodeJS.ErrnoException) => (errorCode = error.code))
  await new Promise((resolve) => socket.once('connect', resolve).once('error', resolve))
  return {
    socket,
    get text() {
      return text
    },
    get errorCode() {
      return errorCode
    },
  }
}

const test = base
  // oxlint-disable-next-line no-empty-pattern -- vitest reads the names of the fixtures from a pattern
  .extend('echo', async ({}, { onCleanup }) => {
    const echo = await startEcho()
    onCleanup(async () => await echo.stop())
    return echo
  })
  .extend('proxy', async ({ echo }, { onCleanup }) => {
    const proxy = await createFaultProxy(echo.url)
    onCleanup(async () => await proxy.stop())
    return proxy
  })

test('passes bytes both ways and closes with its ends', async ({ proxy }) => {
  const caller = await call(proxy)
  caller.socket.write('hello')
  await waitFor(() => caller.text === 're:hello', { what: 'the answer' })
  expect(proxy.connections).toBe(1)
  caller.socket.destroy()
  await waitFor(() => proxy.connections === 0, { what: 'no connection' })
})

test('keeps the order of a large stream', async ({ proxy, echo }) => {
  const caller = await call(proxy)
  const sent = Array.from({ length: 200_000 }, (_, n) => `${n};`).join('')
  caller.socket.write(sent)
  await waitFor(() => echo.got.join('').length === sent.length, { what: 'all bytes at the server' })
  expect(echo.got.join('') === sent).toBe(true)
  await waitFor(() => caller.text.replaceAll('re:', '') === sent, { what: 'all bytes back' })
  caller.socket.destroy()
})

test('adds latency in both directions', async ({ proxy }) => {
  proxy.latencyMs = 60
  const caller = await call(proxy)
  const from = performance.now()
  caller.socket.write('a')
  await waitFor(() => caller.text === 're:a', { what: 'the answer', everyMs: 1 })
  expect(performance.now() - from).toBeGreaterThanOrEqual(119)
  caller.socket.destroy()
})

test('cut resets what is open and takes new connections', async ({ proxy }) => {
  const caller = await call(proxy)
  caller.socket.write('a')
  await waitFor(() => caller.text === 're:a', { what: 'the answer' })
  expect(proxy.cut()).toBe(1)
  await waitFor(() => caller.errorCode === 'ECONNRESET', { what: 'a reset' })
  const next = await call(proxy)
  next.socket.write('b')
  await waitFor(() => next.text === 're:b', { what: 'the answer' })
  next.socket.destroy()
})

test('refuse lets nobody in, and the port is the same afterwards', async ({ proxy }) => {
  const before = await call(proxy)
  await proxy.setMode('refuse')
  await waitFor(() => before.errorCode === 'ECONNRESET', { what: 'a reset' })
  expect((await call(proxy)).errorCode).toBe('ECONNREFUSED')
  await proxy.setMode('pass')
  const after = await call(proxy)
  after.socket.write('a')
  await waitFor(() => after.text === 're:a', { what: 'the answer' })
  after.socket.destroy()
})

test('a black hole moves no byte and breaks no connection', async ({ proxy, echo }) => {
  const old = await call(proxy)
  old.socket.write('1')
  await waitFor(() => old.text === 're:1', { what: 'the answer' })
  await proxy.setMode('black-hole')
  old.socket.write('2')
  const young = await call(proxy)
  young.socket.write('3')
  await sleep(150)
  expect(echo.got).toEqual(['1'])
  expect([old.text, young.text, old.errorCode, young.errorCode]).toEqual(['re:1', '', undefined, undefined])
  await proxy.setMode('pass')
  await waitFor(() => old.text === 're:1re:2' && young.text === 're:3', { what: 'both answers' })
  old.socket.destroy()
  young.socket.destroy()
})

test('strand silences what is open and takes new connections', async ({ proxy, echo }) => {
  const old = await call(proxy)
  old.socket.write('1')
  await waitFor(() => old.text === 're:1', { what: 'the answer' })
  expect(proxy.strand()).toBe(1)
  old.socket.write('2')
  const young = await call(proxy)
  young.socket.write('3')
  await waitFor(() => young.text === 're:3', { what: 'the answer' })
  expect([old.text, old.errorCode, echo.got]).toEqual(['re:1', undefined, ['1', '3']])
  expect(proxy.cut()).toBe(2)
})

test('cutReply: the server has done the work and the caller cannot know', async ({ proxy, echo }) => {
  const caller = await call(proxy)
  const other = await call(proxy)
  const cut = proxy.cutReply((request) => request.includes('commit'))
  caller.socket.write('begin')
  await waitFor(() => caller.text === 're:begin', { what: 'the first answer' })
  caller.socket.write('commit')
  await cut
  await waitFor(() => caller.errorCode === 'ECONNRESET', { what: 'a reset' })
  expect(echo.got).toEqual(['begin', 'commit'])
  expect(caller.text).toBe('re:begin')
  other.socket.write('commit')
  await waitFor(() => other.text === 're:commit', { what: 'an answer, since only one reply is cut' })
  other.socket.destroy()
})

test('through keeps the login and the path', async ({ proxy }) => {
  expect(proxy.through('postgres://a:b@10.0.0.1:5432/c?d=e')).toBe(`postgres://a:b@127.0.0.1:${proxy.port}/c?d=e`)
})
