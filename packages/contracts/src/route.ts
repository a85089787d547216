import type { Static, TObject, TSchema } from '@sinclair/typebox'
import type { Scope } from './scopes.ts'

export const SERVICES = ['gateway', 'agent-registry', 'crew-orchestrator', 'agent-factory', 'turing-gym'] as const
export type ServiceName = (typeof SERVICES)[number]

/**
 * One operation of the API. The catalogue of these is the single source for the services' routes, the gateway's proxy table,
 * the OpenAPI document and the typed client.
 */
export interface Route {
  readonly operationId: string
  readonly service: ServiceName
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** As OpenAPI writes it: `/v1/missions/{id}:cancel`. */
  readonly path: string
  readonly summary: string
  readonly tag: string
  /** Scopes that the token must all carry, or 'public' for a route that needs no token. */
  readonly access: readonly Scope[] | 'public'
  readonly params?: TObject
  readonly query?: TObject
  readonly headers?: TObject
  readonly body?: TSchema
  /** Media type of a body that is not JSON; it reaches the handler as bytes or text. */
  readonly consumes?: readonly string[]
  readonly bodyLimitBytes?: number
  /** Schema per status; `null` for an answer without a JSON body. */
  readonly answers: Readonly<Record<number, TSchema | null>>
  /** Media type of an answer that is not JSON. */
  readonly produces?: string
  /** A long poll or a stream: it has no request time-out of its own. */
  readonly longLived?: true
  /** Called so often that a log line for each request would drown the rest. */
  readonly hot?: true
}

export const defineRoute = <const R extends Route>(route: R): R => route

type StaticOr<S, Fallback> = S extends TSchema ? Static<S> : Fallback

export type ParamsOf<R extends Route> = StaticOr<R['params'], Record<never, never>>
export type QueryOf<R extends Route> = StaticOr<R['query'], Record<never, never>>
export type BodyOf<R extends Route> = StaticOr<R['body'], undefined>
/** Every JSON body that the route can answer with; an answer without one is `undefined`. */
export type AnswerOf<R extends Route> = {
  [Status in keyof R['answers']]: R['answers'][Status] extends TSchema ? Static<R['answers'][Status]> : undefined
}[keyof R['answers']]

/**
 * `/v1/missions/{id}:cancel` as the router writes it: `/v1/missions/:id([^/:]+)::cancel`. An id that ends a path takes no colon either,
 * or a verb with another method would be read as a part of it.
 */
export function routerPath(path: string): string {
  return path
    .replaceAll(':', '::')
    .replace(/\{(\w+)\}(?=::)|\{(id)\}$/g, ':$1$2([^/:]+)')
    .replace(/\{(\w+)\}/g, ':$1')
}

/**
 * Fills the parameters of a path, each encoded. Throws when one is missing, and when it would leave an empty or a dot segment: URL
 * parsers take those away, and the request would reach another operation.
 */
export function fillPath(path: string, params: Readonly<Record<string, string | number>>): string {
  return path
    .split('/')
    .map((segment) => (segment.includes('{') ? fillSegment(segment, path, params) : segment))
    .join('/')
}

function fillSegment(segment: string, path: string, params: Readonly<Record<string, string | number>>): string {
  const filled = segment.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name]
    if (value === undefined) throw new TypeError(`path parameter ${name} is missing for ${path}`)
    return encodeURIComponent(String(value))
  })
  if (['', '.', '..'].includes(filled))
    throw new TypeError(`path parameter ${segment.slice(1, -1)} cannot be "${filled}" in ${path}`)
  return filled
}
