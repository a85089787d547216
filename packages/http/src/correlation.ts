import { childTraceparent, withContext } from '@hypercode/telemetry'
import fp from 'fastify-plugin'

/**
 * Gives every request the correlation id that it came with, or a new one (the server's `genReqId` makes it), answers it, and runs
 * the request in a log context that carries it. A `traceparent` of the caller becomes the parent of ours.
 */
export const correlation = fp(
  async (app) => {
    app.addHook('onRequest', (request, reply, done) => {
      reply.header('x-correlation-id', request.id)
      const parent = request.headers['traceparent']
      const traceparent = childTraceparent(typeof parent === 'string' ? parent : undefined)
      withContext({ correlationId: request.id, traceparent }, done)
    })
  },
  { name: 'correlation', fastify: '5.x' },
)
