import type { FastifyReply, FastifyRequest } from 'fastify'

/** Without a reason of ours each abort would make an exception with a stack: 2 % of what the orchestrator computes. */
const OVER = new Error('the request is over')

/** Aborts when the caller has gone, or the answer is out, or the service drains: what a long poll listens to. */
export function hangUpOf(request: FastifyRequest, reply: FastifyReply): AbortSignal {
  const over = new AbortController()
  const { drainSignal } = request.server
  const end = (): void => over.abort(OVER)
  drainSignal.addEventListener('abort', end)
  // Of the answer, not of the socket: that one outlives the request and would gather listeners.
  reply.raw.once('close', () => {
    drainSignal.removeEventListener('abort', end)
    end()
  })
  if (drainSignal.aborted) end()
  return over.signal
}
