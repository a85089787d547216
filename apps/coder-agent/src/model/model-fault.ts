import { APICallError } from 'ai'

/** A request to the model has failed. */
export class ModelFault extends Error {
  override readonly name = 'ModelFault'
  /** May the same request succeed a little later? */
  readonly passing: boolean
  /** Of the answer; `undefined` when there was none. */
  readonly status: number | undefined
  /** What the model asks for. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, options: { passing: boolean; status?: number; retryAfterMs?: number; cause?: unknown }) {
    super(message, { cause: options.cause })
    this.passing = options.passing
    this.status = options.status
    this.retryAfterMs = options.retryAfterMs
  }
}

export function modelFaultOf(error: unknown, now = Date.now()): ModelFault {
  if (error instanceof ModelFault) return error
  if (!APICallError.isInstance(error)) {
    return new ModelFault(`the model cannot be reached: ${textOf(error)}`, { passing: true, cause: error })
  }
  const { statusCode: status, responseHeaders = {} } = error
  if (status === undefined || status < 400) {
    return new ModelFault(`the answer of the model broke off: ${textOf(error)}`, { passing: true, cause: error })
  }
  const retryAfterMs = retryAfterMsOf(responseHeaders['retry-after'], now)
  return new ModelFault(`the model refused with ${status}: ${error.message.slice(0, MESSAGE_MAX)}`, {
    passing: PASSING.has(status) || status >= 500,
    status,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    cause: error,
  })
}

/** Seconds or a date; what is neither says nothing. */
export function retryAfterMsOf(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined
  const ms = /^\s*\d+(?:\.\d+)?\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now
  return Number.isFinite(ms) ? Math.max(0, Math.round(ms)) : undefined
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error).slice(0, MESSAGE_MAX)
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : ''
  return `${error.message}${cause}`.slice(0, MESSAGE_MAX)
}

const PASSING = new Set([408, 409, 425, 429])
const MESSAGE_MAX = 500
