import type { Problem } from '@hypercode/contracts'

/** The server answered, and the answer is an error. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  /** The stable word of the problem to branch on; `http_<status>` when the answer was no problem document. */
  readonly code: string
  readonly problem: Problem | undefined
  /** How long the server asks to wait. */
  readonly retryAfterMs: number | undefined

  constructor(status: number, problem: Problem | undefined, retryAfterMs: number | undefined, what: string) {
    const said = problem?.detail ?? problem?.title
    super(`${what} answered ${status}${said === undefined ? '' : `: ${said}`}`)
    this.status = status
    this.code = problem?.code ?? `http_${status}`
    this.problem = problem
    this.retryAfterMs = retryAfterMs
  }
}

/** There was no answer, or none that could be read. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError'
  /** Whether the request may have reached the server, so that its effect is unknown. */
  readonly sent: boolean

  constructor(message: string, options: { sent: boolean; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.sent = options.sent
  }
}
