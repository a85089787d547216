import { problemType } from '@hypercode/contracts'
import type { Problem } from '@hypercode/contracts'
import { AppError } from './app-error.ts'

export const PROBLEM_TYPE = 'application/problem+json'

/** The body of an error answer. */
export function problemOf(error: AppError, correlationId: string): Problem {
  return {
    type: problemType(error.code),
    title: error.title,
    status: error.status,
    code: error.code,
    ...(error.detail !== undefined && { detail: error.detail }),
    ...(error.fix !== undefined && { fix: error.fix }),
    ...(error.faults !== undefined && { faults: [...error.faults] }),
    correlationId,
  }
}

/** Headers of an error answer. */
export function problemHeaders(error: AppError): Record<string, string> {
  return {
    'content-type': PROBLEM_TYPE,
    'cache-control': 'no-store',
    ...(error.retryAfterMs !== undefined && {
      'retry-after': String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))),
    }),
    ...error.headers,
  }
}

/** Turns whatever was thrown into an error of the API. The texts of others never get out. */
export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  const { code, statusCode } = (error as { code?: unknown; statusCode?: unknown } & (object | null | undefined)) ?? {}
  const translate = typeof code === 'string' ? FRAMEWORK[code] : undefined
  if (translate !== undefined) return translate(error)
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) return byStatus(statusCode, error)
  return new AppError('internal', { cause: error })
}

const FRAMEWORK: Readonly<Record<string, (cause: unknown) => AppError>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: (cause) => new AppError('unsupported_media_type', { cause }),
  FST_ERR_CTP_BODY_TOO_LARGE: (cause) => new AppError('body_too_large', { cause }),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: (cause) =>
    new AppError('request_invalid', { detail: 'The body is not as long as Content-Length says.', cause }),
  FST_ERR_BAD_URL: (cause) => new AppError('request_invalid', { detail: 'The path is not a valid URL path.', cause }),
  FST_ERR_MAX_PARAM_LENGTH: (cause) =>
    new AppError('uri_too_long', { detail: 'A part of the path is longer than allowed.', cause }),
  FST_ERR_HANDLER_TIMEOUT: (cause) =>
    new AppError('unavailable', { detail: 'The request took too long.', retryAfterMs: 1000, cause }),
}

function byStatus(status: number, cause: unknown): AppError {
  if (status === 401) return new AppError('token_invalid', { headers: { 'www-authenticate': 'Bearer' }, cause })
  if (status === 403) return new AppError('insufficient_scope', { cause })
  if (status === 404) return new AppError('not_found', { cause })
  if (status === 405) return new AppError('method_not_allowed', { cause })
  if (status === 406) return new AppError('not_acceptable', { cause })
  if (status === 408) return new AppError('request_timeout', { cause })
  if (status === 409) return new AppError('conflict', { cause })
  if (status === 412) return new AppError('version_mismatch', { cause })
  if (status === 413) return new AppError('body_too_large', { cause })
  if (status === 414) return new AppError('uri_too_long', { cause })
  if (status === 415) return new AppError('unsupported_media_type', { cause })
  if (status === 422) return new AppError('unprocessable', { cause })
  if (status === 429) return new AppError('rate_limited', { cause })
  if (status === 431) return new AppError('headers_too_large', { cause })
  return new AppError('request_invalid', { cause })
}
