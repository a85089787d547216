import { ROUTES } from '@hypercode/contracts'
import type { Route, ServiceName } from '@hypercode/contracts'
import { AppError } from '@hypercode/http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Pool } from 'undici'
import type { Dispatcher } from 'undici'
import { Exchange } from './exchange.ts'
import { requestHeaders } from './headers.ts'
import { LimitedBody } from './request-body.ts'
import type { RequestBody } from './request-body.ts'

/** A service behind the gateway, over connections that are kept. */
export interface Upstream {
  /** Sends the request on and answers it on `reply`. Throws unavailable when too many are on their way. */
  forward(route: Route, path: string, request: FastifyRequest, reply: FastifyReply): FastifyReply
  /** Requests that the service has not answered yet. */
  readonly inFlight: number
  /** Answers 503 to claims and reads that wait: their callers ask again elsewhere and lose nothing. */
  release(): void
  close(): Promise<void>
}

/** A service that is down is given up on in this time; one that is up takes a connection in less than a millisecond. */
const CONNECT_MS = 1000
/** The services themselves answer or refuse within ten seconds. */
const ANSWER_MS = 12_000
const QUICK_CONNECTIONS = 128
const QUICK_IN_FLIGHT_MAX = 4000
/** Each waiting request holds a connection. */
const LONG_IN_FLIGHT_MAX = 5000

interface Lane {
  readonly pool: Pool
  readonly inFlightMax: number
  /** Requests that can be sent away while they wait. */
  readonly waiting: Set<Exchange> | undefined
  inFlight: number
}

/**
 * Every long-lived operation has connections of its own, so that five thousand claims which wait never stand in the way of a submit or
 * of a heartbeat.
 */
export function createUpstream(service: ServiceName, url: string, answerMs = ANSWER_MS): Upstream {
  const origin = new URL(url).origin
  const lanes = new Map<string, Lane>()

  const laneOf = (route: Route): Lane => {
    const name = route.longLived === true ? route.operationId : ''
    let lane = lanes.get(name)
    if (lane === undefined) {
      const long = route.longLived === true
      const pool = new Pool(origin, {
        connections: long ? LONG_IN_FLIGHT_MAX : QUICK_CONNECTIONS,
        pipelining: 1,
        connectTimeout: CONNECT_MS,
        headersTimeout: long ? 0 : answerMs,
        bodyTimeout: long ? 0 : answerMs,
        allowH2: false,
      })
      // A submit that waits for its mission has been carried out already, so only its answer may end it.
      const mayLeave = long && (route.method === 'GET' || route.operationId === ROUTES.claimTasks.operationId)
      lane = {
        pool,
        inFlightMax: long ? LONG_IN_FLIGHT_MAX : QUICK_IN_FLIGHT_MAX,
        waiting: mayLeave ? new Set() : undefined,
        inFlight: 0,
      }
      lanes.set(name, lane)
    }
    return lane
  }

  return {
    forward(route, path, request, reply) {
      const lane = laneOf(route)
      if (lane.inFlight >= lane.inFlightMax) {
        throw new AppError('unavailable', {
          detail: `${lane.inFlight} requests wait for the ${service}.`,
          retryAfterMs: 1000,
        })
      }
      lane.inFlight += 1
      const exchange = new Exchange(service, reply, () => {
        lane.inFlight -= 1
        lane.waiting?.delete(exchange)
      })
      lane.waiting?.add(exchange)
      lane.pool.dispatch(dispatchOptions(path, request), exchange)
      return reply
    },
    get inFlight() {
      return [...lanes.values()].reduce((sum, lane) => sum + lane.inFlight, 0)
    },
    release() {
      const error = new AppError('unavailable', {
        detail: 'The service is shutting down.',
        retryAfterMs: 1000,
        headers: { connection: 'close' },
      })
      for (const { waiting } of lanes.values()) for (const exchange of [...(waiting ?? [])]) exchange.interrupt(error)
    },
    async close() {
      await Promise.all([...lanes.values()].map(async ({ pool }) => pool.destroy()))
    },
  }
}

function dispatchOptions(path: string, request: FastifyRequest): Dispatcher.DispatchOptions {
  const body = (request.body ?? null) as RequestBody
  const headers = requestHeaders(request)
  if (body instanceof LimitedBody && body.length !== undefined) headers.push('content-length', String(body.length))
  return { path, method: request.method as Dispatcher.HttpMethod, headers, body }
}
