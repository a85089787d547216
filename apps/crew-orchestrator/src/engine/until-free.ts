import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '@hypercode/http'

const TRIES_MAX = 50
const TRY_AGAIN_MS = 20

/** A task of the mission is in the hands of another transaction, which waits for the mission. */
export class StillInHandsError extends Error {
  override readonly name = 'StillInHandsError'
}

/** Gives all of it up when a task was in other hands, and tries again a moment later: who waits for the mission must be let through. */
export async function untilFree<T>(act: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await act()
    } catch (error) {
      if (!(error instanceof StillInHandsError)) throw error
      if (tries === TRIES_MAX) throw new AppError('unavailable', { retryAfterMs: 1000 })
      await sleep(TRY_AGAIN_MS)
    }
  }
}
