/** A pause that can be ended from outside. */
export interface Nudge {
  /** Ends the pause, or the next one when nobody waits now. */
  (): void
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
}

export function createNudge(): Nudge {
  let nudged = false
  let wake: (() => void) | undefined
  const nudge = (): void => {
    nudged = true
    wake?.()
  }
  const wait = async (ms: number, signal: AbortSignal): Promise<void> => {
    if (!nudged && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer)
          signal.removeEventListener('abort', done)
          wake = undefined
          resolve()
        }
        const timer = setTimeout(done, ms)
        signal.addEventListener('abort', done, { once: true })
        wake = done
      })
    }
    nudged = false
  }
  return Object.assign(nudge, { wait })
}
