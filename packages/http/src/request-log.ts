import type { Logger } from '@hypercode/telemetry'
import { LogController } from 'fastify'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { routeName } from './route-name.ts'
import type {} from './service-app.ts'

/**
 * One line per request that changed something, at info; requests that only read, and those of hot routes, are told at debug.
 * What was refused or failed has its line already, from the problem handler.
 */
export class RequestLog extends LogController {
  readonly #logger: Logger

  constructor(logger: Logger) {
    super()
    this.#logger = logger
  }

  override incomingRequest(): void {}

  override requestCompleted(error: Error | null, request: FastifyRequest, reply: FastifyReply): void {
    const quiet = request.method === 'GET' || reply.statusCode >= 400 || request.routeOptions.config?.hot === true
    const level = quiet ? 'debug' : 'info'
    if (!this.#logger.isLevelEnabled(level)) return
    // The answer ends outside of the context of the request.
    const tenantId = request.admitted?.tenantId
    const line = {
      correlationId: request.id,
      ...(tenantId !== undefined && { tenantId }),
      ...about(request),
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
    }
    if (error === null || error === undefined) this.#logger[level](line, 'request')
    else this.#logger[level]({ ...line, err: error }, 'request broke off')
  }

  override defaultErrorLog(error: Error, request: FastifyRequest): void {
    this.#logger.error({ ...about(request), err: error }, 'the error handler failed')
  }

  override streamError(error: Error, request: FastifyRequest): void {
    this.#logger.info({ ...about(request), err: error }, 'answer broke off')
  }

  override writeHeadError(error: Error, request: FastifyRequest): void {
    this.#logger.error({ ...about(request), err: error }, 'answer could not be written')
  }
}

const about = ({ method, routeOptions: { url } }: FastifyRequest): { method: string; route: string | undefined } => ({
  method,
  route: url === undefined ? undefined : routeName(url),
})
