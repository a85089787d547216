import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { AppError } from './app-error.ts'
import { answerProblem } from './problem-details.ts'
import type {} from './service-app.ts'

/** One look at all requests costs less than a timer for each of them. */
const LOOK_MS = 500

/**
 * Knows the requests in flight, bounds them, and lets them end well. A handler that takes longer than `handlerTimeoutMs` is answered
 * with 503, long-lived routes aside. Once `beginDrain` was called new requests get 503 and close their connection, those in flight
 * may finish, and whatever listens to `drainSignal` ends by itself. `app.close()` begins the drain when nobody has.
 */
export const requestsInFlight = fp<{ handlerTimeoutMs: number }>(
  async (app, { handlerTimeoutMs }) => {
    const drain = new AbortController()
    const inFlight = new Map<FastifyReply, number>()
    app.decorate('drainSignal', drain.signal)
    app.decorate('beginDrain', () => drain.abort())
    app.decorate('requestsInFlight', () => inFlight.size)
    app.addHook('preClose', async () => drain.abort())

    const looking = setInterval(() => {
      const now = performance.now()
      for (const [reply, dueAt] of inFlight) if (now > dueAt) answerLate(reply)
    }, LOOK_MS)
    looking.unref()
    app.addHook('onClose', async () => clearInterval(looking))

    app.addHook('onRequest', (request, reply, done) => {
      const { config } = request.routeOptions
      const longLived = config?.longLived === true
      inFlight.set(reply, longLived ? Infinity : performance.now() + handlerTimeoutMs)
      // Also comes when the caller hangs up or the handler has taken over the socket.
      reply.raw.once('close', () => inFlight.delete(reply))
      if (longLived) neverIdle(request.raw.socket)
      if (drain.signal.aborted && config?.whileDraining !== true) done(shuttingDown())
      else done()
    })

    function answerLate(reply: FastifyReply): void {
      // The server bounds how long a request may take to arrive; the handler has not begun.
      if (!reply.request.raw.complete) return
      inFlight.set(reply, Infinity)
      if (reply.sent || reply.raw.headersSent) return
      const error = new AppError('unavailable', { detail: 'The request took too long.', retryAfterMs: 1000 })
      answerProblem(error, reply.request, reply)
    }
  },
  { name: 'requests-in-flight', fastify: '5.x' },
)

function shuttingDown(): AppError {
  const headers = { connection: 'close' }
  return new AppError('unavailable', { detail: 'The service is shutting down.', retryAfterMs: 1000, headers })
}

/** Lifts the idle limit for this request; Node sets it again with the next one. The socket of `app.inject` has none. */
function neverIdle(socket: Socket | { setTimeout?: undefined }): void {
  socket.setTimeout?.(0)
}
