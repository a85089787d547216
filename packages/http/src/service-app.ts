import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Route, Scope } from '@hypercode/contracts'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { RoutePolicy } from './path-match.ts'
import type { Principal } from './principal.ts'
import type { TokenVerifier } from './token-verifier.ts'
import type {} from '@fastify/jwt'

/** The Fastify instance of every service and agent. Plugins of an app take it as their first parameter. */
export type ServiceApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborts when the service begins to drain: a long poll or a stream that listens to it ends at once. */
    readonly drainSignal: AbortSignal
    /** True for an error that means that a server behind this service cannot be reached. */
    readonly isUnavailable: (error: unknown) => boolean
    /** Checks access tokens that come by other ways than the Authorization header; not there in a service without auth. */
    readonly tokens: TokenVerifier
    /** Turns /readyz red, refuses new requests with 503 and aborts `drainSignal`. */
    beginDrain(): void
    /** Requests that have not been answered to the end yet. */
    requestsInFlight(): number
    /** Every registered route with its policy, in the order of registration. */
    readonly routeTable: readonly RoutePolicy[]
    /** Routes of the catalogue that `implement` has registered. */
    readonly implemented: readonly Route[]
  }

  interface FastifyRequest {
    /** Who calls. Throws on a public route, where nobody has shown a token. */
    readonly principal: Principal
    /** What `principal` reads; null until a token was checked. */
    admitted?: Principal | null
  }

  interface FastifyContextConfig {
    /** Scopes that the token must all carry. */
    scopes?: readonly Scope[]
    /** No token needed. */
    public?: true
    /** A long poll or a stream: neither the idle socket nor the handler has a time limit. */
    longLived?: true
    /** Called too often for a log line at info per request. */
    hot?: true
    /** Answered while draining too, as health checks are. */
    whileDraining?: true
  }
}
