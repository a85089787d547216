import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError, ConnectionError } from '@hypercode/client'
import type { Logger } from '@hypercode/telemetry'
import { Backoff, pause } from './backoff.ts'
import { AttemptStopped, TerminalError } from './errors.ts'

export interface OutputOptions {
  readonly send: (text: string) => Promise<void>
  readonly log: Logger
  /** How long text gathers before it is sent; default 200 ms. */
  readonly everyMs?: number
  /** How long the rest may hold up the end of the attempt; default 2 s. */
  readonly closeMs?: number
}

/**
 * Sends the text that one attempt brings out, in order, a piece at a time.
 * - T1: a piece goes out when text has gathered for a moment, or when there is enough of it.
 * - T2: what waits is bounded: beyond that, text is left out, and a mark in its place says how much.
 * - T3: a piece that was not taken is sent again; one that may have arrived is not, so that nothing is read twice.
 * - T4: nothing that goes wrong here reaches the handler.
 */
export class OutputStream {
  readonly #options: OutputOptions
  readonly #closing = new AbortController()
  #waiting = ''
  #leftOut = 0
  #gathering: AbortController | undefined
  #pump: Promise<void> | undefined
  #over = false

  constructor(options: OutputOptions) {
    this.#options = options
  }

  write(text: string): void {
    if (this.#over || this.#closing.signal.aborted || text === '') return
    const room = WAITING_MAX - this.#waiting.length
    // Once something is missing the gap grows until there is room to say so: text behind it must not go before it.
    if (this.#leftOut > 0 || room <= 0) this.#leftOut += text.length
    else {
      this.#waiting += text.slice(0, room)
      this.#leftOut = Math.max(0, text.length - room)
    }
    if (this.#waiting.length >= PIECE_MAX) this.#gathering?.abort()
    this.#pump ??= this.#run()
  }

  /** Sends what still waits, within a bound of time. */
  async close(): Promise<void> {
    // Most attempts bring out nothing: to abort, with an error and its stack, was a fifth of what an agent of small tasks did.
    if (this.#pump === undefined) {
      this.#over = true
      return
    }
    this.#closing.abort()
    this.#gathering?.abort()
    await Promise.race([this.#pump, sleep(this.#options.closeMs ?? 2_000, undefined, { ref: false })])
    this.#over = true
  }

  async #run(): Promise<void> {
    while (!this.#over) {
      if (this.#waiting.length < PIECE_MAX) await this.#gather()
      const piece = this.#take()
      if (piece === '') break
      await this.#deliver(piece)
    }
    this.#pump = undefined
  }

  /** T1 */
  async #gather(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#gathering = new AbortController()
    await pause(this.#options.everyMs ?? 200, this.#gathering.signal)
  }

  /** The next piece, which is never empty while something waits that can be sent. No character is cut in half. */
  #take(): string {
    let end = Math.min(this.#waiting.length, PIECE_MAX)
    const isLast = end === this.#waiting.length && this.#closing.signal.aborted
    if (!isLast && /[\ud800-\udbff]/.test(this.#waiting.charAt(end - 1))) end -= 1
    const piece = this.#waiting.slice(0, end)
    this.#waiting = this.#waiting.slice(end)
    if (this.#leftOut > 0) {
      this.#waiting += `\n[${this.#leftOut} characters are left out here]\n` // T2
      this.#leftOut = 0
    }
    return piece
  }

  async #deliver(piece: string): Promise<void> {
    const text = piece.toWellFormed().replaceAll('\0', '')
    if (text === '') return
    const backoff = new Backoff({ firstMs: 100, maxMs: 5_000 })
    while (!this.#over) {
      try {
        await this.#options.send(text)
        return
      } catch (error) {
        const delayMs = this.#repeatAfterMs(error)
        if (delayMs === undefined) return
        await backoff.wait(this.#closing.signal, delayMs)
        if (this.#closing.signal.aborted) await sleep(CLOSING_RETRY_MS, undefined, { ref: false })
      }
    }
  }

  /** T3, T4: `undefined` when the piece is not to be sent again. */
  #repeatAfterMs(error: unknown): number | undefined {
    const { log } = this.#options
    if (error instanceof AttemptStopped || error instanceof TerminalError) {
      this.#over = true
      if (error instanceof TerminalError) log.warn({ err: error }, 'no more output is taken')
      return undefined
    }
    log.debug({ err: error }, 'output was not taken')
    if (error instanceof ConnectionError) return error.sent ? undefined : 0
    const isRefused = error instanceof ApiError && (error.status === 429 || error.status === 503)
    return isRefused ? (error.retryAfterMs ?? 0) : undefined
  }
}

/** Characters of a piece, and of all that waits. */
const PIECE_MAX = 16_384
const WAITING_MAX = 256 * 1024
const CLOSING_RETRY_MS = 100
