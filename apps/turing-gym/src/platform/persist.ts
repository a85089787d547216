import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError, ConnectionError } from '@hypercode/client'

const PAUSE_MS = 500

/** Whether it may be well again after a while: nobody answered, or the one who did could not do it now. */
export const isOutage = (error: unknown): boolean =>
  error instanceof ConnectionError || (error instanceof ApiError && (error.status >= 500 || error.status === 429))

/** Repeats what failed because the platform was away, for at most `forMs` from the first failure; then throws what was thrown last. */
export async function persist<T>(
  { forMs, signal }: { forMs: number; signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  let failingSince: number | undefined
  while (true) {
    try {
      return await work()
    } catch (error) {
      signal.throwIfAborted()
      failingSince ??= performance.now()
      if (!isOutage(error) || performance.now() - failingSince > forMs) throw error
      await sleep(PAUSE_MS, undefined, { signal })
    }
  }
}
