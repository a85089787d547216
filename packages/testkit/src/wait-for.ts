import { setTimeout as sleep } from 'node:timers/promises'

export interface WaitOptions {
  /** What is waited for, for the error: 'the task is completed'. */
  what: string
  /** Default 15,000: on a busy machine what comes in a moment comes later, and a test has 20 s. */
  timeoutMs?: number
  /** Pause between two looks. Default 20. */
  everyMs?: number
}

type Falsy = false | 0 | '' | null | undefined

/**
 * Looks again and again until `condition` answers something truthy, and answers that. An error thrown by `condition` counts as "not
 * yet" and is the cause of the final error. Throws when `timeoutMs` have passed.
 */
export async function waitFor<T>(condition: () => T | Promise<T>, options: WaitOptions): Promise<Exclude<T, Falsy>> {
  const { what, timeoutMs = 15_000, everyMs = 20 } = options
  const deadline = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value) return value as Exclude<T, Falsy>
      last = undefined
    } catch (error) {
      last = error
    }
    if (performance.now() >= deadline) {
      const why = last instanceof Error ? ` (last: ${last.message})` : ''
      throw new Error(`waited ${timeoutMs} ms for ${what}${why}`, { cause: last })
    }
    await sleep(everyMs)
  }
}
