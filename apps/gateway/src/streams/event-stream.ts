/**
 * One subscriber: a readable stream of Server-Sent Events that pulls from Postgres.
 *
 * E1 Events go out in the order of their numbers, each once: the next read always asks for what comes after the last event that went out.
 * E2 A hint, a poll and a drained socket only say "look again"; nothing that they carry is sent.
 * E3 Nothing is read for a subscriber whose buffer is full, so it holds at most its high-water mark and one page.
 * E4 A mission's stream ends after its last event, and not before everything there is has been sent.
 */
import { Readable } from 'node:stream'
import type { EventReader, Want } from './event-reader.ts'
import type { SseEvent } from './sse-event.ts'

export interface EventStreamOptions {
  readonly reader: EventReader
  readonly want: Want
  /** Sent first: the reconnection time, and for a stream without a beginning where it stands. */
  readonly preamble: string
  /** The mission was over when the stream was opened. */
  readonly over: boolean
  /** False when the token has expired or was revoked. */
  readonly isAllowed: () => boolean
  /** Told of a read that failed; the next wake tries again. */
  readonly onReadError: (error: unknown) => void
}

const BUFFER_BYTES = 65_536
/** A reader that takes nothing for so long is let go. */
const STALL_MAX_MS = 60_000

export class EventStream extends Readable {
  readonly #options: EventStreamOptions
  #after: number
  /** There may be events that were not read. */
  #dirty = true
  #reading = false
  #hasRoom = false
  #over: boolean
  #finished = false
  #fullSince: number | undefined

  constructor(options: EventStreamOptions) {
    super({ highWaterMark: BUFFER_BYTES })
    this.#options = options
    this.#after = options.want.after
    this.#over = options.over
    this.push(options.preamble)
  }

  override _read(): void {
    this.#hasRoom = true
    this.#fullSince = undefined
    this.#look()
  }

  /** There may be something new. */
  wake(): void {
    this.#dirty = true
    this.#look()
  }

  /** A comment that keeps proxies from closing the connection, unless the subscriber has not taken the last bytes yet. */
  beat(): void {
    if (this.#hasRoom && !this.#finished && !this.destroyed && this.readableLength === 0) this.#send(': beat\n\n')
  }

  /** Ends the stream when its token is no good any more, or when its reader has stalled. */
  review(nowMs: number): void {
    if (!this.#options.isAllowed()) this.finish()
    else if (!this.#hasRoom && this.#fullSince !== undefined && nowMs - this.#fullSince > STALL_MAX_MS) this.destroy()
  }

  /** Ends the stream in good order; the subscriber comes back with Last-Event-ID. */
  finish(): void {
    if (this.#finished || this.destroyed) return
    this.#finished = true
    this.push(null)
  }

  #look(): void {
    if (this.#reading || !this.#dirty || !this.#hasRoom || this.#finished || this.destroyed) return
    this.#reading = true
    this.#dirty = false
    const { reader, want, onReadError } = this.#options
    reader.read({ ...want, after: this.#after }).then(
      (events) => {
        this.#reading = false
        if (this.#finished || this.destroyed) return
        this.#take(events)
        this.#look()
      },
      (error: unknown) => {
        this.#reading = false
        this.#dirty = true
        onReadError(error)
      },
    )
  }

  #take(events: readonly SseEvent[]): void {
    if (events.length === this.#options.reader.page) this.#dirty = true
    const last = events.at(-1)
    if (last !== undefined) {
      this.#after = last.seq
      if (events.some((event) => event.terminal)) this.#over = true
      this.#send(events.map((event) => event.text).join(''))
    }
    if (this.#over && !this.#dirty) this.finish()
  }

  #send(text: string): void {
    this.#hasRoom = this.push(text)
    if (!this.#hasRoom) this.#fullSince ??= Date.now()
  }
}
