import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@hypercode/telemetry'
import { AttemptStopped, TerminalError } from './errors.ts'

export interface ProgressOptions {
  readonly send: (fraction: number, message: string | undefined) => Promise<void>
  readonly log: Logger
  /** Least time between two sends; default 500 ms. */
  readonly everyMs?: number
  /** How long the last one may hold up the end of the attempt; default 2 s. */
  readonly closeMs?: number
}

interface Point {
  readonly fraction: number
  readonly message: string | undefined
}

/**
 * Sends the progress of one attempt at a bounded rate. Only the newest point waits, the one before it is forgotten; the
 * last one is sent before the attempt ends. A send that fails is repeated twice unless there is something newer to say,
 * and then forgotten.
 */
export class Progress {
  readonly #options: ProgressOptions
  readonly #closing = new AbortController()
  #waiting: Point | undefined
  #pump: Promise<void> | undefined
  #closed = false

  constructor(options: ProgressOptions) {
    this.#options = options
  }

  report(fraction: number, message?: string): void {
    if (this.#closed) return
    this.#waiting = {
      fraction: toFraction(fraction),
      message: message?.toWellFormed().replaceAll('\0', '').slice(0, 500),
    }
    this.#pump ??= this.#run()
  }

  /** Sends what still waits, within a bound of time. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#pump === undefined) return
    this.#closing.abort()
    await Promise.race([this.#pump, sleep(this.#options.closeMs ?? 2_000, undefined, { ref: false })])
  }

  async #run(): Promise<void> {
    for (let point = this.#take(); point !== undefined; point = this.#take()) {
      for (let tries = 1; !(await this.#send(point)); tries += 1) {
        if (tries === TRIES || this.#waiting !== undefined) break
      }
      await this.#pause()
    }
    this.#pump = undefined
  }

  #take(): Point | undefined {
    const point = this.#waiting
    this.#waiting = undefined
    return point
  }

  async #send(point: Point): Promise<boolean> {
    try {
      await this.#options.send(point.fraction, point.message)
      return true
    } catch (error) {
      this.#options.log.debug({ err: error }, 'progress was not taken')
      if (error instanceof AttemptStopped) this.#closed = true
      return error instanceof AttemptStopped || error instanceof TerminalError
    }
  }

  async #pause(): Promise<void> {
    if (this.#closing.signal.aborted) return
    try {
      await sleep(this.#options.everyMs ?? 500, undefined, { signal: this.#closing.signal, ref: false })
    } catch (error) {
      if (!this.#closing.signal.aborted) throw error
    }
  }
}

const toFraction = (fraction: number): number => (Number.isFinite(fraction) ? Math.min(1, Math.max(0, fraction)) : 0)

const TRIES = 3
