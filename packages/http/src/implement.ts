import { Problem, plainSchema, routerPath } from '@hypercode/contracts'
import type { AnswerOf, BodyOf, ParamsOf, QueryOf, Route } from '@hypercode/contracts'
import type { Static, TSchema } from '@sinclair/typebox'
import type { FastifyContextConfig, FastifyReply, FastifyRequest, FastifySchema, FastifySchemaCompiler } from 'fastify'
import type { Readable } from 'node:stream'
import { AppError } from './app-error.ts'
import { acceptOnly, isTextual } from './body-parsing.ts'
import type { BodyForm } from './body-parsing.ts'
import { compileBody, compilePart } from './request-validation.ts'
import type { ServiceApp } from './service-app.ts'

type Parsed = 'application/json' | 'application/x-www-form-urlencoded'
type Textual = `text/${string}` | 'application/yaml'

/** What a body of one media type is when it reaches the handler. */
type BodyAs<R extends Route, M> = M extends Parsed ? BodyOf<R> : M extends Textual ? string : Buffer

type RequestBody<R extends Route, F extends BodyForm> = F extends 'text'
  ? string
  : F extends 'bytes'
    ? Buffer
    : R extends { readonly consumes: readonly (infer M)[] }
      ? BodyAs<R, M>
      : BodyOf<R>

type HeadersOf<R extends Route> = R['headers'] extends TSchema ? Static<R['headers']> : Record<never, never>

/** A request of one route of the catalogue, as its handler sees it. */
export type RouteRequest<R extends Route, F extends BodyForm = 'parsed'> = FastifyRequest<{
  Params: ParamsOf<R>
  Querystring: QueryOf<R>
  Headers: HeadersOf<R>
  Body: RequestBody<R, F>
}>

/** The body of the answer, or the reply after `send`; bytes and streams for a route that `produces` something else than JSON. */
export type RouteAnswer<R extends Route> =
  | AnswerOf<R>
  | FastifyReply
  | (R extends { readonly produces: string } ? Buffer | string | Readable : never)

export type RouteHandler<R extends Route, F extends BodyForm = 'parsed'> = (
  request: RouteRequest<R, F>,
  reply: FastifyReply,
) => Promise<RouteAnswer<R> | void> | RouteAnswer<R> | void

export interface ImplementOptions<F extends BodyForm> {
  /** 'text' or 'bytes' hands over the body as it came, unchecked, whatever its media type. */
  readonly body?: F
}

/**
 * Registers one route of the catalogue: path, schemas, scopes, limits and the types of its handler all come from it. The handler
 * returns the body; the status is the first success status of the route (200 before others) unless it calls `reply.code`.
 */
export function implement<const R extends Route, F extends BodyForm = 'parsed'>(
  app: ServiceApp,
  route: R,
  // The route alone decides the types: literals in the answer keep theirs.
  handler: NoInfer<RouteHandler<R, F>>,
  options: ImplementOptions<F> = {},
): void {
  const form: BodyForm = options.body ?? 'parsed'
  ;(app.implemented as Route[]).push(route)
  const status = defaultStatus(route)
  const register = (scope: ServiceApp): void => {
    scope.route({
      method: route.method,
      url: routerPath(route.path),
      config: routeConfig(route),
      schema: schemaOf(route, form),
      validatorCompiler: compilerOf(route, form),
      ...(route.bodyLimitBytes !== undefined && { bodyLimit: route.bodyLimitBytes }),
      handler: async (request, reply) => {
        if (status !== 200) reply.code(status)
        if (route.produces !== undefined && !route.produces.includes('*')) reply.type(route.produces)
        return await handler(bodyInOrder(route, form, request as RouteRequest<R, F>), reply as unknown as FastifyReply)
      },
    })
  }
  if (route.consumes === undefined && form === 'parsed') register(app)
  else {
    app.register(async (scope) => {
      acceptOnly(scope, route.consumes ?? ['application/json'], form)
      register(scope)
    })
  }
}

/** The `config` that makes the chassis guard a route as the catalogue says; for a route that is registered by hand. */
export function routeConfig(route: Route): FastifyContextConfig {
  return {
    ...(route.access === 'public' ? { public: true } : { scopes: route.access }),
    ...(route.longLived === true && { longLived: true }),
    ...(route.hot === true && { hot: true }),
  }
}

function defaultStatus(route: Route): number {
  const statuses = Object.keys(route.answers).map(Number)
  return statuses.includes(200) ? 200 : (statuses[0] ?? 200)
}

function schemaOf(route: Route, form: BodyForm): FastifySchema {
  const problem = plainSchema(Problem)
  const answers = Object.entries(route.answers).flatMap(([status, schema]) =>
    schema === null ? [] : [[status, plainSchema(schema)]],
  )
  return {
    ...(route.params !== undefined && { params: route.params }),
    ...(route.query !== undefined && { querystring: route.query }),
    ...(route.headers !== undefined && { headers: route.headers }),
    ...(route.body !== undefined && form === 'parsed' && { body: route.body }),
    response: { ...Object.fromEntries(answers), '4xx': problem, '5xx': problem },
  }
}

function compilerOf(route: Route, form: BodyForm): FastifySchemaCompiler<FastifySchema> {
  const textToo = form === 'parsed' && route.consumes?.some(isTextual) === true
  return (part) => {
    const { schema, httpPart = '' } = part as { schema: unknown; httpPart?: string }
    return httpPart === 'body' ? compileBody(schema as TSchema, textToo) : compilePart(schema as TSchema, httpPart)
  }
}

/** Makes the absence of a body what the types say, and refuses a body where the route has none. */
function bodyInOrder<T extends FastifyRequest>(route: Route, form: BodyForm, request: T): T {
  const empty = request.body === undefined || request.body === null
  if (route.body !== undefined || route.consumes !== undefined || form !== 'parsed') {
    if (empty) request.body = absentBody(route, form)
    return request
  }
  if (!empty && !(typeof request.body === 'object' && Object.keys(request.body as object).length === 0)) {
    throw new AppError('request_invalid', { detail: 'This operation takes no body.' })
  }
  return request
}

function absentBody(route: Route, form: BodyForm): Buffer | string | undefined {
  if (form === 'text') return ''
  if (form === 'bytes' || route.consumes?.includes('*/*') === true) return Buffer.alloc(0)
  return undefined
}
