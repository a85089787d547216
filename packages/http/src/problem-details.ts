import { withContext } from '@hypercode/telemetry'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { AppError } from './app-error.ts'
import { allowedMethods } from './path-match.ts'
import { asAppError, problemHeaders, problemOf } from './problem.ts'
import { routeName } from './route-name.ts'
import type {} from './service-app.ts'

/** Every error, and every unknown route, is answered as RFC 9457 problem details. */
export const problemDetails = fp(
  async (app) => {
    app.setErrorHandler((error, request, reply) => answerProblem(error, request, reply))
    app.setNotFoundHandler((request, reply) => {
      const allowed = allowedMethods(app.routeTable, request.raw.url ?? '/')
      // A path that knows the method and was still not found has a part that no route takes, as an encoded slash.
      if (allowed.length === 0 || allowed.includes(request.method))
        return answerProblem(new AppError('not_found', { detail: 'No such path.' }), request, reply)
      const headers = { allow: allowed.join(', ') }
      const detail = `The path knows ${headers.allow}.`
      return answerProblem(new AppError('method_not_allowed', { detail, headers }), request, reply)
    })
  },
  { name: 'problem-details', fastify: '5.x' },
)

/** Answers `error` on `reply` and logs it once: what the caller did wrong at info, what we did wrong with its stack. */
export function answerProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = request.server.isUnavailable(error) ? unavailable(error) : asAppError(error)
  withContext({ correlationId: request.id }, () => logProblem(known, request))
  return reply.code(known.status).headers(problemHeaders(known)).send(problemOf(known, request.id))
}

/** A server behind us was away: whether the request was carried out is open, so the caller may repeat it under its key. */
const unavailable = (cause: unknown): AppError =>
  new AppError('unavailable', { detail: 'A server that this needs does not answer.', retryAfterMs: 1000, cause })

function logProblem(error: AppError, request: FastifyRequest): void {
  const { url } = request.routeOptions
  const route = url === undefined ? undefined : routeName(url)
  const where = { code: error.code, status: error.status, method: request.method, route }
  if (error.status >= 500)
    request.log.error({ ...where, err: error.code === 'internal' ? error.cause : error }, error.title)
  else request.log.info({ ...where, detail: error.detail }, error.title)
}
