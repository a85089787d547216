import type { Logger, Metrics } from '@hypercode/telemetry'
import { CheckError } from './health.ts'

export interface LoopOptions {
  /** Pause between two turns. */
  readonly everyMs: number
  /** Share by which the pause varies, so that processes do not beat together; 0.2 by default. */
  readonly jitter?: number
  /** Longest pause after failed turns, 30000 by default. */
  readonly backoffMaxMs?: number
  /** False: `check` does not ask after it, since the service goes on without what it does, only not as well. */
  readonly critical?: false
  /** One turn. The signal aborts when the loops stop. */
  readonly run: (signal: AbortSignal) => Promise<void>
}

export interface Loops {
  /** Starts a loop; its first turn comes at once. A name can be used once. */
  readonly start: (name: string, options: LoopOptions) => void
  /** For /readyz: throws a CheckError that names every critical loop that has not finished a turn for three periods, at least 10 s. */
  readonly check: () => void
  /** Aborts the signal of every loop and waits for the turns in flight, at most `waitMs` (5000 by default). */
  readonly stop: (waitMs?: number) => Promise<void>
}

const OVERDUE_MIN_MS = 10_000
const BACKOFF_MAX_MS = 30_000
const STOP_MS = 5000

interface Loop {
  readonly everyMs: number
  readonly isCritical: boolean
  finishedAt: number
}

/** Named background work of a service. A turn that throws is logged and counted, and the next one comes with back-off. */
export function createLoops({ log, metrics }: { log: Logger; metrics: Metrics }): Loops {
  const loops = new Map<string, Loop>()
  const running: Promise<void>[] = []
  const stopping = new AbortController()
  const turns = metrics.counter({
    name: 'hypercode_loop_turns_total',
    help: 'Turns of background loops that succeeded',
    labels: ['loop'],
  })
  const failures = metrics.counter({
    name: 'hypercode_loop_errors_total',
    help: 'Turns of background loops that failed',
    labels: ['loop'],
  })

  async function spin(
    name: string,
    loop: Loop,
    { everyMs, jitter = 0.2, backoffMaxMs = BACKOFF_MAX_MS, run }: LoopOptions,
  ): Promise<void> {
    let failed = 0
    while (!stopping.signal.aborted) {
      try {
        await run(stopping.signal)
        failed = 0
        loop.finishedAt = performance.now()
        turns.inc({ loop: name })
      } catch (err) {
        if (stopping.signal.aborted) return
        failed++
        failures.inc({ loop: name })
        log.error({ err, loop: name, failed }, 'turn failed')
      }
      await pause(pauseMs(everyMs, jitter, failed, backoffMaxMs), stopping.signal)
    }
  }

  return {
    start(name, options) {
      if (loops.has(name)) throw new TypeError(`there is a loop named ${name} already`)
      if (stopping.signal.aborted) throw new TypeError('the loops have been stopped')
      const isCritical = options.critical !== false
      const loop = { everyMs: options.everyMs, isCritical, finishedAt: performance.now() }
      loops.set(name, loop)
      running.push(spin(name, loop, options))
    },
    check() {
      const now = performance.now()
      const isDead = ({ everyMs, isCritical, finishedAt }: Loop): boolean =>
        isCritical && now - finishedAt > Math.max(3 * everyMs, OVERDUE_MIN_MS)
      const dead = [...loops].filter(([, loop]) => isDead(loop))
      if (dead.length === 0) return
      const words = dead.map(([name, loop]) => `${name} (${Math.round((now - loop.finishedAt) / 1000)} s)`)
      throw new CheckError(`no turn finished: ${words.join(', ')}`)
    },
    async stop(waitMs = STOP_MS) {
      stopping.abort()
      const waited = new AbortController()
      const late = pause(waitMs, waited.signal).then(() => 'late' as const)
      const end = await Promise.race([Promise.all(running), late])
      waited.abort()
      if (end === 'late') log.warn({ waitMs }, 'a turn did not end')
    },
  }
}

function pauseMs(everyMs: number, jitter: number, failed: number, backoffMaxMs: number): number {
  const base = failed === 0 ? everyMs : Math.min(everyMs * 2 ** failed, Math.max(everyMs, backoffMaxMs))
  return base * (1 + jitter * (Math.random() * 2 - 1))
}

/** Resolves after `ms`, or as soon as the signal aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  const stop = (): void => resolve()
  if (signal.aborted) resolve()
  else signal.addEventListener('abort', stop)
  await promise
  clearTimeout(timer)
  signal.removeEventListener('abort', stop)
}
