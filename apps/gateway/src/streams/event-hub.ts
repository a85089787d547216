import { AppError } from '@hypercode/http'
import { EventStream } from './event-stream.ts'
import type { EventStreamOptions } from './event-stream.ts'

/** Every open stream of this replica, by what it is about. */
export interface EventHub {
  /** Throws unavailable when there are as many streams as there may be, or the service is draining. */
  open(topic: string, options: EventStreamOptions): EventStream
  wake(topic: string): void
  wakeAll(): void
  /** Sends the keep-alive comment. */
  beat(): void
  /** Ends streams whose token is no good any more, and those whose readers have stalled. */
  review(): void
  /** Ends every stream and opens no more. */
  close(): void
  readonly size: number
}

export function createEventHub({ maxStreams }: { maxStreams: number }): EventHub {
  const topics = new Map<string, Set<EventStream>>()
  let size = 0
  let closed = false

  const add = (topic: string, stream: EventStream): void => {
    const streams = topics.get(topic) ?? new Set()
    topics.set(topic, streams.add(stream))
    size += 1
    stream.once('close', () => {
      size -= 1
      streams.delete(stream)
      if (streams.size === 0) topics.delete(topic)
    })
  }

  const each = (act: (stream: EventStream) => void): void => {
    for (const streams of [...topics.values()]) for (const stream of [...streams]) act(stream)
  }

  return {
    open(topic, options) {
      if (closed) throw new AppError('unavailable', { detail: 'The service is shutting down.', retryAfterMs: 1000 })
      if (size >= maxStreams) {
        throw new AppError('unavailable', { detail: `${maxStreams} event streams are open.`, retryAfterMs: 5000 })
      }
      const stream = new EventStream(options)
      add(topic, stream)
      return stream
    },
    wake(topic) {
      for (const stream of topics.get(topic) ?? []) stream.wake()
    },
    wakeAll: () => each((stream) => stream.wake()),
    beat: () => each((stream) => stream.beat()),
    review() {
      const nowMs = Date.now()
      each((stream) => stream.review(nowMs))
    },
    close() {
      closed = true
      each((stream) => stream.finish())
    },
    get size() {
      return size
    },
  }
}
