import { once } from 'node:events'
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyRequest } from 'fastify'
import { request } from 'undici'
import type { Dispatcher } from 'undici'
import type { Interference } from './fault-plan.ts'

export interface FaultCounts {
  requests: number
  delayed: number
  refused: number
  cut: number
  /** Answered by the model as it is. */
  passed: number
  /** The model could not be reached; the agent was told 502. */
  unreachable: number
}

/** Where the proxy has the model; what comes after it is the model's own path. */
export const PREFIX = '/model'

/** The way to the model, and the book of what was done on it. */
export interface ModelWay {
  /** Without a slash at its end. */
  readonly upstream: string
  readonly dispatcher: Dispatcher
  /** Seconds. */
  readonly retryAfterS: number
  readonly counts: FaultCounts
  readonly injected: string[]
}

/** Answers one request as it is meant to fare. Rejects when either side goes in the middle. */
export async function disturb(
  way: ModelWay,
  { delayMs, ending }: Interference,
  message: FastifyRequest,
  raw: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const { counts, injected } = way
  if (delayMs > 0) {
    counts.delayed += 1
    injected.push(`delay model ${delayMs} ms`)
    await sleep(delayMs, undefined, { signal })
  }
  if (typeof ending === 'object') {
    counts.refused += 1
    injected.push(`status ${ending.status}`)
    refuse(raw, ending.status, way.retryAfterS)
    return
  }
  const answer = await ask(way, message, signal)
  if (answer === undefined) {
    counts.unreachable += 1
    refuse(raw, 502)
  } else if (ending === 'cut') {
    counts.cut += 1
    injected.push('cut model')
    await breakOff(answer, raw)
  } else {
    await pass(answer, raw)
    counts.passed += 1
  }
}

async function ask(
  { dispatcher, upstream }: ModelWay,
  message: FastifyRequest,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData | undefined> {
  const path = message.url.slice(PREFIX.length)
  try {
    return await request(`${upstream}${path}`, {
      dispatcher,
      method: message.method as Dispatcher.HttpMethod,
      headers: forwarded(message.headers),
      body: Buffer.isBuffer(message.body) ? message.body : null,
      signal,
    })
  } catch (error) {
    if (signal.aborted) throw error
    return undefined
  }
}

async function pass({ statusCode, headers, body }: Dispatcher.ResponseData, raw: ServerResponse): Promise<void> {
  raw.writeHead(statusCode, forwarded(headers))
  raw.flushHeaders()
  for await (const chunk of body) await write(raw, chunk as Buffer)
  raw.end()
}

/** The agent gets the head and half of the first piece. */
async function breakOff({ statusCode, headers, body }: Dispatcher.ResponseData, raw: ServerResponse): Promise<void> {
  raw.writeHead(statusCode, forwarded(headers))
  for await (const chunk of body) {
    const piece = chunk as Buffer
    // It shall have left before the end does.
    await new Promise<void>((resolve) => raw.write(piece.subarray(0, Math.ceil(piece.length / 2)), () => resolve()))
    break
  }
  raw.destroy()
}

async function write(raw: ServerResponse, chunk: Buffer): Promise<void> {
  if (raw.write(chunk) || raw.destroyed) return
  await Promise.race([once(raw, 'drain'), once(raw, 'close')])
}

function refuse(raw: ServerResponse, status: number, retryAfterS?: number): void {
  const body = JSON.stringify({ error: { message: `refused with ${status}`, type: 'fault', code: null } })
  raw.writeHead(status, {
    'content-type': 'application/json',
    ...(retryAfterS !== undefined && { 'retry-after': String(retryAfterS) }),
  })
  raw.end(body)
}

/** Belong to one connection, or are written anew for the next one. */
const NOT_FORWARDED = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

const forwarded = (headers: IncomingHttpHeaders): IncomingHttpHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !NOT_FORWARDED.has(name)))
