import type { AnswerOf, CloudEvent, Route } from '@hypercode/contracts'
import type { AnyOptions, Args, CallOptions, RawOptions, StreamOptions } from './call-options.ts'
import { unlessGivenUp } from './clock.ts'
import type { GiveUps } from './clock.ts'
import { ApiError, ConnectionError } from './errors.ts'
import { eventStream } from './event-stream.ts'
import type { StreamSettings } from './event-stream.ts'
import { withRetries } from './retries.ts'
import type { RetryOptions } from './retries.ts'
import { fetchedToken, givenToken } from './token-source.ts'
import type { ClientCredentials, TokenSource } from './token-source.ts'
import { Transport, apiErrorOf } from './transport.ts'
import type { Headers, OpenAnswer, RawAnswer } from './transport.ts'

export interface ClientOptions {
  readonly baseUrl: string
  /** The client fetches and renews its tokens with these … */
  readonly credentials?: ClientCredentials | undefined
  /** … or uses this one. Neither is needed for public routes. */
  readonly token?: string | (() => Promise<string>) | undefined
  readonly retry?: RetryOptions | undefined
  /** Longest time for one try, 15000 by default. */
  readonly timeoutMs?: number | undefined
  /** Connections for calls, 64 by default; each stream has one of its own. */
  readonly maxConnections?: number | undefined
  readonly stream?: StreamSettings | undefined
}

export interface Answer<Body> {
  readonly status: number
  readonly body: Body
  readonly headers: Headers
}

export interface HyperClient {
  /**
   * Calls a route of the catalogue with JSON. Rejects with ApiError when the server refuses, with ConnectionError when it does not
   * answer, and with the reason of `signal` when the caller gives up.
   */
  readonly call: <const R extends Route>(route: R, ...args: Args<CallOptions<R>>) => Promise<Answer<AnswerOf<R>>>
  /** Calls a route whose body or answer is bytes, artifacts for instance. */
  readonly raw: <const R extends Route>(route: R, ...args: Args<RawOptions<R>>) => Promise<Answer<Buffer>>
  /** Reads a stream of events and reconnects where it broke off, without a gap and without a repeat. */
  readonly stream: <const R extends Route>(route: R, ...args: Args<StreamOptions<R>>) => AsyncIterable<CloudEvent>
  /** Cuts what is under way and closes every connection. */
  readonly close: () => Promise<void>
}

/** Streams hold their connections for long, so they must not take those of the calls. */
const STREAMS_MAX = 1000

/** The typed HTTP client of the platform, made from the catalogue of routes. */
export function createClient(options: ClientOptions): HyperClient {
  if (options.credentials !== undefined && options.token !== undefined)
    throw new TypeError('give credentials or token, not both')
  const timeoutMs = options.timeoutMs ?? 15_000
  const calls = new Transport(options.baseUrl, { timeoutMs, maxConnections: options.maxConnections ?? 64 })
  const streams = new Transport(options.baseUrl, { timeoutMs, maxConnections: STREAMS_MAX })
  const tokens =
    options.credentials === undefined
      ? givenToken(options.token)
      : fetchedToken(calls, options.credentials, options.retry)

  const fetch = async (route: Route, given: AnyOptions): Promise<RawAnswer> => {
    const giveUps = [given.signal, calls.closed]
    const attempt = async (token: string | undefined): Promise<RawAnswer> =>
      good(route, await calls.fetch(route, given, token))
    return await withRetries(route, given, options.retry ?? {}, giveUps, () =>
      authorized(route, tokens, giveUps, attempt),
    )
  }
  const connect = (route: Route, given: AnyOptions): Promise<OpenAnswer> =>
    authorized(route, tokens, [given.signal, streams.closed], async (token) =>
      openGood(route, await streams.open(route, given, token)),
    )

  return {
    async call<const R extends Route>(route: R, ...[given = {} as CallOptions<R>]: Args<CallOptions<R>>) {
      const answer = await fetch(route, given as AnyOptions)
      return { ...answer, body: jsonOf(route, answer) as AnswerOf<R> }
    },
    async raw<const R extends Route>(route: R, ...[given = {} as RawOptions<R>]: Args<RawOptions<R>>) {
      return await fetch(route, { contentType: 'application/octet-stream', ...(given as AnyOptions) })
    },
    stream<const R extends Route>(route: R, ...[given = {} as StreamOptions<R>]: Args<StreamOptions<R>>) {
      return eventStream((each) => connect(route, each), route, given as AnyOptions, streams.closed, options.stream)
    },
    async close() {
      await Promise.all([calls.close(), streams.close()])
    },
  }
}

/** Sends with a token. One that the server does not take any more is replaced, once; a 401 means that nothing was done yet. */
async function authorized<T>(
  route: Route,
  tokens: TokenSource,
  giveUps: GiveUps,
  send: (token: string | undefined) => Promise<T>,
): Promise<T> {
  if (route.access === 'public') return await send(undefined)
  const token = await unlessGivenUp(tokens.get(), giveUps)
  try {
    return await send(token)
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401 || !tokens.refused(token)) throw error
    return await send(await unlessGivenUp(tokens.get(), giveUps))
  }
}

function good(route: Route, answer: RawAnswer): RawAnswer {
  const error = apiErrorOf(route, answer)
  if (error !== undefined) throw error
  return answer
}

const PROBLEM_BYTES_MAX = 65_536

async function openGood(route: Route, answer: OpenAnswer): Promise<OpenAnswer> {
  if (answer.status < 400) return answer
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer.body) {
    chunks.push(chunk)
    size += chunk.length
    if (size > PROBLEM_BYTES_MAX) break
  }
  answer.close()
  throw apiErrorOf(route, { ...answer, body: Buffer.concat(chunks) }) ?? new ConnectionError(route.path, { sent: true })
}

function jsonOf(route: Route, { headers, body }: RawAnswer): unknown {
  if (body.length === 0 || headers['content-type']?.includes('json') !== true) return undefined
  try {
    return JSON.parse(body.toString('utf8'))
  } catch (cause) {
    throw new ConnectionError(`${route.method} ${route.path}: the answer is not JSON`, { sent: true, cause })
  }
}
