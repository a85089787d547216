/** How many times as long as usual an answer is waited for, by what waiting has brought before. */
export interface Patience {
  readonly times: number
  /** A silence began, or was over. */
  changed(isSilent: boolean): void
}

const SHORT_MS = 5000
const TIMES_MAX = 8
const HALVES_AFTER_MS = 30_000

/** `now` is a monotonic clock, in milliseconds. */
export function createPatience(now: () => number = () => performance.now()): Patience {
  let learned = 1
  let changedMs = now()
  const times = (): number => Math.max(1, learned / 2 ** Math.floor((now() - changedMs) / HALVES_AFTER_MS))
  return {
    get times() {
      return times()
    },
    changed(isSilent) {
      if (isSilent) learned = times()
      else learned = now() - changedMs < SHORT_MS ? Math.min(TIMES_MAX, 2 * learned) : 1
      changedMs = now()
    },
  }
}
