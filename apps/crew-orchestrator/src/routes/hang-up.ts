import type { FastifyRequest } from 'fastify'

/** Aborts when the caller has gone or the service drains: what a long poll listens to. */
export function hangUpOf(request: FastifyRequest): AbortSignal {
  const gone = new AbortController()
  request.raw.socket.once('close', () => gone.abort())
  return AbortSignal.any([gone.signal, request.server.drainSignal])
}
