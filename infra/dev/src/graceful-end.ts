/** How a long-running command is told to end: by a signal, or because its parent is gone. */
export interface GracefulEnd {
  /** Aborted at the first request to end. */
  readonly signal: AbortSignal
  /** What asked; undefined as long as nothing did. */
  readonly cause: () => NodeJS.Signals | 'parent gone' | undefined
}

/** Two signals closer together than this are one: a terminal and npm both send Ctrl-C on. */
const TWICE_MS = 500

/**
 * Turns signals into an AbortSignal. A second signal calls `endNow`, which must not wait for anything.
 *
 * The bootstrap keeps a channel to us open; when it is killed, the channel closes, and what we have started must not stay.
 */
export function onEnd(endNow: (signal: NodeJS.Signals) => void): GracefulEnd {
  const controller = new AbortController()
  let cause: NodeJS.Signals | 'parent gone' | undefined
  let firstAt = 0
  const end = (why: NodeJS.Signals | 'parent gone'): void => {
    cause ??= why
    firstAt = performance.now()
    controller.abort(new DOMException(`asked to end (${why})`, 'AbortError'))
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (cause === undefined) return end(signal)
      if (performance.now() - firstAt > TWICE_MS) endNow(signal)
    })
  }
  process.once('disconnect', () => cause ?? end('parent gone'))
  process.channel?.unref()
  return { signal: controller.signal, cause: () => cause }
}

/** Resolves when the signal is aborted, and keeps the process alive until then. */
export async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    // Neither a pending promise nor a signal handler keeps Node alive.
    const alive = setInterval(() => undefined, 60_000)
    signal.addEventListener('abort', () => {
      clearInterval(alive)
      resolve()
    })
  })
}
