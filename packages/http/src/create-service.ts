import type { Route } from '@hypercode/contracts'
import { correlationIdOf } from '@hypercode/telemetry'
import type { Logger, Metrics } from '@hypercode/telemetry'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { fastify } from 'fastify'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import { compileAnswerSchema } from './answer-serialization.ts'
import { AppError } from './app-error.ts'
import { authentication, checkPolicy } from './authentication.ts'
import { bodyParsing } from './body-parsing.ts'
import { answerClientError } from './client-errors.ts'
import { correlation } from './correlation.ts'
import { health } from './health.ts'
import type { Check, OptionalCheck } from './health.ts'
import type { RoutePolicy } from './path-match.ts'
import { answerProblem, problemDetails } from './problem-details.ts'
import { RequestLog } from './request-log.ts'
import { requestMetrics } from './request-metrics.ts'
import { compileRequestSchema } from './request-validation.ts'
import { requestsInFlight } from './requests-in-flight.ts'
import type { ServiceApp } from './service-app.ts'
import type { AuthOptions } from './token-verifier.ts'

export interface ServiceOptions {
  /** As logs, metrics and /readyz name it. */
  readonly name: string
  readonly version: string
  readonly logger: Logger
  readonly metrics: Metrics
  /** How tokens are checked. Without it every route has to be public, and `/metrics` is: for agents, which hold no key. */
  readonly auth?: AuthOptions | undefined
  /** What /readyz asks, by name. A check that throws or takes too long turns it red, unless it is not critical. */
  readonly checks?: Readonly<Record<string, Check | OptionalCheck>>
  /** Longest time of one check, 2000 by default. */
  readonly checkTimeoutMs?: number
  /** Largest body, 262144 by default; a route can have its own. */
  readonly bodyLimitBytes?: number
  /** Longest time for a request to arrive, 10000 by default. */
  readonly requestTimeoutMs?: number
  /** Longest time for a handler to answer, 14000 by default; long-lived routes have none. */
  readonly handlerTimeoutMs?: number
  /** Proxies whose `X-Forwarded-…` headers count, as addresses or CIDRs; none by default. */
  readonly trustProxy?: readonly string[]
  readonly openapi?: { readonly title?: string }
  /** True for an error that means that a server behind this service cannot be reached: it becomes 503 with Retry-After. */
  readonly isUnavailable?: (error: unknown) => boolean
}

/** A connection that moves no byte for so long is closed; long-lived routes lift it for their request. */
const IDLE_SOCKET_MS = 15_000
const KEEP_ALIVE_MS = 5000

/**
 * The one HTTP chassis: services and agents both stand on it. What it brings, in this order: correlation, draining, metrics,
 * problem details, strict bodies, tokens and scopes, and the health routes. The app then registers its routes with `implement`.
 */
export async function createService(options: ServiceOptions): Promise<ServiceApp> {
  const requestTimeout = options.requestTimeoutMs ?? 10_000
  const app: ServiceApp = fastify({
    loggerInstance: options.logger as FastifyBaseLogger,
    logController: new RequestLog(options.logger),
    // The correlation id rides on every line by the log context, so a request needs no logger of its own.
    childLoggerFactory: (logger) => logger,
    genReqId: (request) => correlationIdOf(request.headers['x-correlation-id']),
    requestTimeout,
    connectionTimeout: IDLE_SOCKET_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Node looks for requests that are late only this often.
    http: { connectionsCheckingInterval: 1000, headersTimeout: requestTimeout, maxHeaderSize: 16_384 },
    bodyLimit: options.bodyLimitBytes ?? 262_144,
    trustProxy: options.trustProxy === undefined || options.trustProxy.length === 0 ? false : [...options.trustProxy],
    routerOptions: { maxParamLength: 256 },
    forceCloseConnections: true,
    // Our own drain answers 503 as a problem and comes earlier.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      reply.header('x-correlation-id', request.id)
      answerProblem(error, request as FastifyRequest, reply as unknown as FastifyReply)
    },
    clientErrorHandler: answerClientError,
  }).withTypeProvider<TypeBoxTypeProvider>()

  app.setValidatorCompiler(compileRequestSchema)
  app.setSerializerCompiler(compileAnswerSchema)
  app.decorate(
    'isUnavailable',
    (error: unknown) => !(error instanceof AppError) && (options.isUnavailable?.(error) ?? false),
  )
  keepRouteTable(app, options.auth !== undefined)
  await app.register(correlation)
  await app.register(requestsInFlight, { handlerTimeoutMs: options.handlerTimeoutMs ?? 14_000 })
  await app.register(requestMetrics, { metrics: options.metrics })
  await app.register(problemDetails)
  await app.register(bodyParsing)
  if (options.auth !== undefined) await app.register(authentication, options.auth)
  await app.register(health, {
    name: options.name,
    version: options.version,
    metrics: options.metrics,
    guarded: options.auth !== undefined,
    checks: options.checks ?? {},
    checkTimeoutMs: options.checkTimeoutMs ?? 2000,
    title: options.openapi?.title ?? options.name,
  })
  return app
}

/** Knows every route from the first one on, and lets none pass without a policy. */
function keepRouteTable(app: ServiceApp, guarded: boolean): void {
  const table: RoutePolicy[] = []
  const implemented: Route[] = []
  app.decorate('routeTable', table)
  app.decorate('implemented', implemented)
  app.addHook('onRoute', (route) => {
    for (const method of [route.method].flat()) {
      checkPolicy(method, route.url, route.config)
      if (!guarded && route.config?.scopes !== undefined)
        throw new TypeError(`${method} ${route.url} needs scopes, and the service has no auth`)
      table.push({ method, url: route.url, access: route.config?.scopes ?? 'public' })
    }
  })
}
