import { AppError } from '@hypercode/http'

/** The service was not reached, so it has done nothing. */
const NOT_REACHED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** What the caller is told when the service behind did not answer. */
export function upstreamError(service: string, error: unknown): AppError {
  if (error instanceof AppError) return error
  const code = codeOf(error)
  if (NOT_REACHED.has(code)) {
    return new AppError('unavailable', {
      detail: `The ${service} cannot be reached.`,
      retryAfterMs: 1000,
      cause: error,
    })
  }
  // Ours or the caller's doing: a path or a header that cannot be sent on.
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') {
    return new AppError('request_invalid', { detail: 'The request holds what cannot be passed on.', cause: error })
  }
  const late = code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT'
  return new AppError('bad_gateway', {
    detail: late ? `The ${service} did not answer in time.` : `The ${service} broke off before it had answered.`,
    fix: 'The request may have been carried out. Repeat it with the same Idempotency-Key, claim id or attempt.',
    retryAfterMs: 1000,
    cause: error,
  })
}

function codeOf(error: unknown): string {
  const { code, errors } = error as { code?: unknown; errors?: readonly unknown[] }
  if (typeof code === 'string') return code
  // A host with several addresses: one error for each.
  return errors?.[0] === undefined ? '' : codeOf(errors[0])
}
