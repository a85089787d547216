import type { Socket } from 'node:net'
import fp from 'fastify-plugin'
import { AppError } from './app-error.ts'
import type {} from './service-app.ts'

/**
 * Closing manners. Once `beginDrain` was called new requests get 503 and close their connection, requests in flight may finish, and
 * whatever listens to `drainSignal` ends by itself. `app.close()` begins the drain when nobody has.
 */
export const draining = fp(
  async (app) => {
    const drain = new AbortController()
    let inFlight = 0
    app.decorate('drainSignal', drain.signal)
    app.decorate('beginDrain', () => drain.abort())
    app.decorate('requestsInFlight', () => inFlight)
    app.addHook('preClose', async () => drain.abort())

    app.addHook('onRequest', (request, reply, done) => {
      inFlight++
      // Also comes when the caller hangs up or the handler has taken over the socket.
      reply.raw.once('close', () => inFlight--)
      const { config } = request.routeOptions
      if (config?.longLived === true) neverIdle(request.raw.socket)
      if (drain.signal.aborted && config?.whileDraining !== true) {
        done(
          new AppError('unavailable', {
            detail: 'The service is shutting down.',
            retryAfterMs: 1000,
            headers: { connection: 'close' },
          }),
        )
      } else done()
    })
  },
  { name: 'draining', fastify: '5.x' },
)

/** Lifts the idle limit for this request; Node sets it again with the next one. The socket of `app.inject` has none. */
function neverIdle(socket: Socket | { setTimeout?: undefined }): void {
  socket.setTimeout?.(0)
}
