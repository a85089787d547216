import { fillPath } from '@hypercode/contracts'
import type { Problem, Route } from '@hypercode/contracts'
import { currentContext } from '@hypercode/telemetry'
import { Agent, request } from 'undici'
import type { Dispatcher } from 'undici'
import type { AnyOptions } from './call-options.ts'
import { Clock } from './clock.ts'
import { ApiError, ConnectionError } from './errors.ts'

export interface RawAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
}

export type Headers = Readonly<Record<string, string>>

/** A larger answer is refused. */
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024

const CONNECT_MS = 3000

/** One pool of connections to one server. It makes one try and does not judge whether another one makes sense. */
export class Transport {
  readonly #baseUrl: string
  readonly #pool: Agent
  readonly #timeoutMs: number
  readonly #closing = new AbortController()

  constructor(baseUrl: string, options: { timeoutMs: number; maxConnections: number }) {
    const { protocol } = new URL(baseUrl)
    if (protocol !== 'http:' && protocol !== 'https:') throw new TypeError('baseUrl must begin with http: or https:')
    this.#baseUrl = baseUrl.replace(/\/+$/, '')
    this.#timeoutMs = options.timeoutMs
    this.#pool = new Agent({
      connections: options.maxConnections,
      pipelining: 1,
      connect: { timeout: CONNECT_MS },
      // Our own clock bounds a try from the queue for a connection to the last byte.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxResponseSize: ANSWER_BYTES_MAX,
    })
  }

  /** Aborts when the client closes. */
  get closed(): AbortSignal {
    return this.#closing.signal
  }

  /** One request and its whole answer, whatever its status. */
  async fetch(route: Route, options: AnyOptions, token: string | undefined): Promise<RawAnswer> {
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs + waitMs(route, options)
    const clock = new Clock(timeoutMs, [options.signal, this.closed])
    try {
      const answer = await this.#send(route, options, token, clock.signal)
      const body = Buffer.from(await answer.body.arrayBuffer())
      return { status: answer.statusCode, headers: plainHeaders(answer.headers), body }
    } catch (error) {
      throw connectionError(route, error, clock)
    } finally {
      clock.stop()
    }
  }

  /** One request whose answer is read as it comes. The time limit is for its head alone; the caller bounds the rest. */
  async open(route: Route, options: AnyOptions, token: string | undefined): Promise<OpenAnswer> {
    const clock = new Clock(options.timeoutMs ?? this.#timeoutMs, [options.signal, this.closed])
    try {
      const answer = await this.#send(route, options, token, clock.signal)
      clock.lift()
      return {
        status: answer.statusCode,
        headers: plainHeaders(answer.headers),
        body: answer.body,
        close: () => {
          clock.stop()
          // To destroy what nobody reads is an error for undici, and an error that nobody listens to ends the process.
          answer.body.once('error', () => clock.stop())
          answer.body.destroy()
        },
      }
    } catch (error) {
      clock.stop()
      throw connectionError(route, error, clock)
    }
  }

  /** Cuts what is under way and closes every connection. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the client was closed'))
    await this.#pool.destroy()
  }

  async #send(
    route: Route,
    options: AnyOptions,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const { body } = options
    const bytes =
      body === undefined ? null : typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
    return await request(this.#urlOf(route, options), {
      dispatcher: this.#pool,
      method: route.method,
      headers: headersOf(options, token, bytes !== null),
      body: bytes,
      signal,
    })
  }

  #urlOf(route: Route, { params = {}, query = {} }: AnyOptions): string {
    const pairs = Object.entries(query).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, `${value as string | number | boolean}`]],
    )
    const search = pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`
    return `${this.#baseUrl}${fillPath(route.path, params)}${search}`
  }
}

export interface OpenAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: AsyncIterable<Uint8Array>
  readonly close: () => void
}

/** What a long poll waits for by its own wish. */
function waitMs(route: Route, { body, headers }: AnyOptions): number {
  if (route.longLived !== true) return 0
  const inBody = typeof body === 'object' && body !== null && 'waitMs' in body ? Number(body.waitMs) : 0
  const preferred = /(?:^|[,\s])wait=(\d{1,6})/.exec(headers?.['prefer'] ?? '')?.[1]
  return Math.max(0, inBody || 0, Number(preferred ?? 0) * 1000)
}

function headersOf(options: AnyOptions, token: string | undefined, hasBody: boolean): Record<string, string> {
  const { correlationId, traceparent } = currentContext()
  const given = Object.entries(options.headers ?? {}).filter((pair): pair is [string, string] => pair[1] !== undefined)
  return {
    accept: 'application/json, application/problem+json, */*;q=0.5',
    ...(correlationId !== undefined && { 'x-correlation-id': correlationId }),
    ...(traceparent !== undefined && { traceparent }),
    ...(hasBody && { 'content-type': options.contentType ?? 'application/json' }),
    ...(options.idempotencyKey !== undefined && { 'idempotency-key': options.idempotencyKey }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...Object.fromEntries(given),
  }
}

function plainHeaders(headers: Dispatcher.ResponseData['headers']): Headers {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value ?? ''].flat().join(', ')]))
}

/** Errors that come before a byte of the request is out. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
])

function connectionError(route: Route, error: unknown, clock: Clock): unknown {
  const what = `${route.method} ${route.path}`
  if (clock.givenUp !== undefined) return clock.givenUp.reason
  if (clock.timedOut) return new ConnectionError(`${what}: no answer within ${clock.timeoutMs} ms`, { sent: true })
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  // A host with several addresses fails with one error per address.
  const codes =
    error instanceof AggregateError ? error.errors.map((each: { code?: unknown }) => String(each.code)) : [code]
  const sent = !codes.every((each) => NOT_SENT.has(each))
  const reason =
    code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE'
      ? `the answer is larger than ${ANSWER_BYTES_MAX} bytes`
      : code || 'no answer'
  return new ConnectionError(`${what}: ${reason}`, { sent, cause: error })
}

/** The error that an answer is; undefined for a good one. */
export function apiErrorOf(route: Route, { status, headers, body }: RawAnswer): ApiError | undefined {
  if (status < 400) return undefined
  return new ApiError(status, problemIn(headers, body), retryAfterMs(headers), `${route.method} ${route.path}`)
}

function problemIn(headers: Headers, body: Buffer): Problem | undefined {
  if (headers['content-type']?.startsWith('application/problem+json') !== true) return undefined
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' && value !== null && 'code' in value ? (value as Problem) : undefined
  } catch {
    return undefined
  }
}

/** `Retry-After` as seconds or as a date, in milliseconds from now. */
function retryAfterMs(headers: Headers): number | undefined {
  const value = headers['retry-after']
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const at = Date.parse(value)
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now())
}
