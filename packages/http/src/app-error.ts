import { ERRORS } from '@hypercode/contracts'
import type { ErrorCode, Fault } from '@hypercode/contracts'

/** What an error can say beyond its code. */
export interface AppErrorOptions {
  /** What happened this time, in a sentence. It goes to the caller: no secret, no value that was sent. */
  readonly detail?: string | undefined
  /** What the caller can do about it; the fix of the code when absent. */
  readonly fix?: string | undefined
  readonly faults?: readonly Fault[] | undefined
  /** Goes out as `Retry-After`, rounded up to seconds. */
  readonly retryAfterMs?: number | undefined
  /** Headers of the answer, `www-authenticate` for instance. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The error behind it; it is logged and never sent. */
  readonly cause?: unknown
}

/**
 * An error that is part of the API: a route throws it, the chassis answers it as problem details with the status and title that
 * the catalogue of error codes gives. Anything else that is thrown is a bug and answers 500 without its text.
 */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly status: number
  readonly title: string
  readonly detail: string | undefined
  readonly fix: string | undefined
  readonly faults: readonly Fault[] | undefined
  readonly retryAfterMs: number | undefined
  readonly headers: Readonly<Record<string, string>> | undefined

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    const known: { status: number; title: string; fix?: string } = ERRORS[code]
    super(options.detail ?? known.title, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.status = known.status
    this.title = known.title
    this.detail = options.detail
    this.fix = options.fix ?? known.fix
    this.faults = options.faults
    this.retryAfterMs = options.retryAfterMs
    this.headers = options.headers
  }
}
