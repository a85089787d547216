import { readFileSync, existsSync } from 'node:fs'
import type { ProcessIdentity } from '@hypercode/local-stack'
import { identify, isAlive } from '@hypercode/local-stack'

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
 * What we have started must not stay when whoever called us is killed: the bootstrap keeps a channel to us open, which
 * closes with it, and npm and turbo are looked for among our ancestors and watched.
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
  // `npm start | head`: whoever read our output is gone. Unheard, this would end us with everything still running.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => cause ?? end('SIGPIPE'))
  process.once('disconnect', () => cause ?? end('parent gone'))
  process.channel?.unref()
  const tool = nearestAncestor(/^(npm|turbo)/)
  const watch = setInterval(() => {
    if (cause === undefined && tool !== undefined && !isAlive(tool)) end('parent gone')
  }, 500)
  watch.unref()
  return { signal: controller.signal, cause: () => cause }
}

/** The nearest ancestor whose name fits; undefined when there is none, or no /proc to look in. */
function nearestAncestor(name: RegExp): ProcessIdentity | undefined {
  for (let pid = process.ppid; pid > 1 && existsSync(`/proc/${pid}/status`); ) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    if (name.test(/^Name:\s+(.*)$/m.exec(status)?.[1] ?? '')) return identify(pid)
    pid = Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1] ?? 0)
  }
  return undefined
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
