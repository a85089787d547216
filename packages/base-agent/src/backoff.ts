import { setTimeout as sleep } from 'node:timers/promises'

export interface BackoffOptions {
  readonly firstMs: number
  readonly maxMs: number
}

/** Waits between tries: twice as long each time up to a bound, and a random part of it, so that agents do not come in step. */
export class Backoff {
  readonly #options: BackoffOptions
  #failures = 0

  constructor(options: BackoffOptions) {
    this.#options = options
  }

  reset(): void {
    this.#failures = 0
  }

  /** Waits for the next try, at least `atLeastMs`. Ends early, without throwing, when `signal` aborts. */
  async wait(signal: AbortSignal, atLeastMs = 0): Promise<void> {
    const { firstMs, maxMs } = this.#options
    const ceilingMs = Math.min(maxMs, firstMs * 2 ** Math.min(this.#failures, 20))
    this.#failures += 1
    await pause(Math.max(atLeastMs, firstMs / 2 + Math.random() * ceilingMs), signal)
  }
}

/** Ends after `ms`, or without throwing when `signal` aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
