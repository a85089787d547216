import type { BodyOf, ParamsOf, QueryOf, Route } from '@hypercode/contracts'
import type { Static, TOptional, TSchema } from '@sinclair/typebox'

interface Common {
  /** Makes a POST safe to repeat: the server answers a repeat as it answered the first one. */
  readonly idempotencyKey?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Longest time for one try, in milliseconds; what a long poll waits for comes on top when it is not given. */
  readonly timeoutMs?: number | undefined
}

type ParamsPart<R extends Route> = R['params'] extends TSchema
  ? { readonly params: ParamsOf<R> }
  : { readonly params?: never }
type QueryPart<R extends Route> = R['query'] extends TSchema
  ? Record<never, never> extends QueryOf<R>
    ? { readonly query?: Loose<QueryOf<R>> | undefined }
    : { readonly query: Loose<QueryOf<R>> }
  : { readonly query?: never }
type HeadersPart<R extends Route> = R['headers'] extends TSchema
  ? { readonly headers?: Loose<Static<R['headers']>> | undefined }
  : { readonly headers?: never }
type BodyPart<R extends Route> =
  R['body'] extends TOptional<TSchema>
    ? { readonly body?: BodyOf<R> | undefined }
    : R['body'] extends TSchema
      ? { readonly body: BodyOf<R> }
      : { readonly body?: never }

/** Optional members may also be undefined. */
type Loose<T> = { readonly [K in keyof T]: Record<never, never> extends Pick<T, K> ? T[K] | undefined : T[K] }

/** What a call of one route takes, typed from the route. */
export type CallOptions<R extends Route> = Common & ParamsPart<R> & QueryPart<R> & HeadersPart<R> & BodyPart<R>

/** What a call with bytes takes: for routes whose body or answer is not JSON. */
export type RawOptions<R extends Route> = Common &
  ParamsPart<R> &
  QueryPart<R> & {
    readonly headers?: Readonly<Record<string, string | undefined>> | undefined
    readonly body?: Buffer | string | undefined
    readonly contentType?: string | undefined
  }

/** What a stream takes. */
export type StreamOptions<R extends Route> = ParamsPart<R> &
  QueryPart<R> & {
    /** Id of the last event that was seen; the stream goes on after it. */
    readonly lastEventId?: string | undefined
    readonly signal?: AbortSignal | undefined
  }

/** The options of a route that needs none may be left out. */
export type Args<Options> = Record<never, never> extends Options ? [options?: Options] : [options: Options]

/** The same, for code that handles every route alike. */
export interface AnyOptions {
  readonly params?: Readonly<Record<string, string | number>> | undefined
  readonly query?: Readonly<Record<string, unknown>> | undefined
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined
  readonly body?: unknown
  readonly contentType?: string | undefined
  readonly idempotencyKey?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number | undefined
}
