import type { CloudEvent, Route } from '@hypercode/contracts'
import { createParser } from 'eventsource-parser'
import type { AnyOptions } from './call-options.ts'
import { pause, throwIfGivenUp } from './clock.ts'
import { ApiError, ConnectionError } from './errors.ts'
import { delayMs } from './retries.ts'
import type { OpenAnswer } from './transport.ts'

export interface StreamSettings {
  /** Connections in a row without an event after which the stream gives up, 20 by default. */
  readonly maxReconnects?: number
  /** A connection that brings no byte for so long, not even a comment, is taken for dead. 60000 by default. */
  readonly idleMs?: number
}

/** Opens one connection that goes on after the event with this id. */
export type Connect = (options: AnyOptions) => Promise<OpenAnswer>

/** Characters of one event that has not come to its end. */
const EVENT_LENGTH_MAX = 4 * 1024 * 1024
const DELAY_INITIAL_MS = 200
const DELAY_MAX_MS = 5000
/** Longest wait that a server can ask for. */
const ASKED_MAX_MS = 30_000

/** Events that a mission ends with; its stream needs no other connection after them. */
const LAST_EVENTS: ReadonlySet<string> = new Set(
  ['completed', 'failed', 'canceled'].map((end) => `hypercode.mission.${end}.v1`),
)

/**
 * The events of a stream across as many connections as it takes. Each new one names the last event that was seen, so none is lost
 * and none comes twice. Ends when the mission has ended, when the server answers 204, or when the caller stops; throws what the
 * server refuses, and a ConnectionError when it cannot be reached any more.
 */
export async function* eventStream(
  connect: Connect,
  route: Route,
  options: AnyOptions & { lastEventId?: string | undefined },
  closed: AbortSignal,
  settings: StreamSettings = {},
): AsyncGenerator<CloudEvent, void, undefined> {
  const { maxReconnects = 20, idleMs = 60_000 } = settings
  let lastEventId = options.lastEventId
  let failures = 0
  while (true) {
    let failure: unknown
    let askedMs: number | undefined
    try {
      for await (const { id, event } of eventsOf(connect, route, options, lastEventId, idleMs)) {
        if (id !== undefined && id !== '') lastEventId = id
        failures = 0
        yield event
        if (LAST_EVENTS.has(event.type)) return
      }
    } catch (error) {
      if (error === ENDED) return
      throwIfGivenUp([options.signal, closed])
      if (!isPassing(error)) throw error
      failure = error
      if (error instanceof ApiError) askedMs = error.retryAfterMs
    }
    if (++failures > maxReconnects)
      throw failure ?? new ConnectionError(`${route.path}: the stream ends again and again`, { sent: true })
    const waitMs = delayMs(failures, DELAY_INITIAL_MS, DELAY_MAX_MS, Math.min(askedMs ?? 0, ASKED_MAX_MS))
    await pause(waitMs, [options.signal, closed])
  }
}

/** 204 tells a reader of server-sent events that there is no more to come. */
const ENDED = Symbol('ended')

interface Received {
  readonly id: string | undefined
  readonly event: CloudEvent
}

async function* eventsOf(
  connect: Connect,
  route: Route,
  options: AnyOptions,
  lastEventId: string | undefined,
  idleMs: number,
): AsyncGenerator<Received, void, undefined> {
  const headers = { accept: 'text/event-stream', 'last-event-id': lastEventId }
  // The id says more than the cursor that the stream began with.
  const { cursor: _cursor, ...rest } = options.query ?? {}
  const answer = await connect({ ...options, query: lastEventId === undefined ? options.query : rest, headers })
  let idle: NodeJS.Timeout | undefined
  try {
    if (answer.status === 204) throw ENDED
    let received: Received[] = []
    let broken: unknown
    const parser = createParser({
      maxBufferSize: EVENT_LENGTH_MAX,
      onEvent: ({ id, data }) => received.push({ id, event: JSON.parse(data) as CloudEvent }),
      onError: (error) => {
        if (error.type === 'max-buffer-size-exceeded') broken = error
      },
    })
    const decoder = new TextDecoder()
    const restart = (): void => {
      clearTimeout(idle)
      idle = setTimeout(answer.close, idleMs)
    }
    restart()
    for await (const chunk of answer.body) {
      // The reader may take its time; only silence of the server counts.
      clearTimeout(idle)
      parser.feed(decoder.decode(chunk, { stream: true }))
      if (broken !== undefined)
        throw new ConnectionError(`${route.path}: an event is too large`, { sent: true, cause: broken })
      const batch = received
      received = []
      yield* batch
      restart()
    }
  } catch (error) {
    if (error === ENDED || error instanceof ConnectionError) throw error
    throw new ConnectionError(`${route.path}: the stream broke off`, { sent: true, cause: error })
  } finally {
    clearTimeout(idle)
    answer.close()
  }
}

function isPassing(error: unknown): boolean {
  return (
    error instanceof ConnectionError || (error instanceof ApiError && (error.status === 429 || error.status >= 500))
  )
}
