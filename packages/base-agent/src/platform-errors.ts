import { ApiError, ConnectionError } from '@hypercode/client'

/** Least wait before the next try when the call may be repeated; `undefined` when repeating cannot help. */
export function retryDelayMs(error: unknown): number | undefined {
  if (error instanceof ConnectionError) return 0
  if (!(error instanceof ApiError)) return undefined
  if (error.status >= 500 || error.status === 429 || error.status === 408) return error.retryAfterMs ?? 0
  return undefined
}

export const isFenced = (error: unknown): boolean => error instanceof ApiError && error.code === 'fenced'

export const isStale = (error: unknown): boolean => error instanceof ApiError && error.code === 'stale_attempt'

/** What a line about the weather says of an error: no stack, since no code is to blame. */
export const weather = (error: unknown): { reason: string } | { err: unknown } =>
  error instanceof ConnectionError || error instanceof ApiError ? { reason: error.message } : { err: error }
