import type { CloudEvent } from '@hypercode/contracts'
import { createParser } from 'eventsource-parser'

export interface Received {
  readonly id: number
  readonly event: CloudEvent
}

export interface TestSubscriber {
  readonly status: number
  readonly headers: Headers
  readonly events: Received[]
  readonly comments: string[]
  /** Everything as it came. */
  readonly text: string
  /** True when the server ended the stream. */
  readonly ended: boolean
  close(): void
}

export interface SubscribeOptions {
  readonly token: string
  readonly lastEventId?: number | string
}

/** Reads an event stream until the server ends it or it is closed here. */
export async function subscribe(url: string, { token, lastEventId }: SubscribeOptions): Promise<TestSubscriber> {
  const hangUp = new AbortController()
  const response = await fetch(url, {
    signal: hangUp.signal,
    headers: {
      authorization: `Bearer ${token}`,
      ...(lastEventId !== undefined && { 'last-event-id': String(lastEventId) }),
    },
  })
  const state = { text: '', ended: false }
  const events: Received[] = []
  const comments: string[] = []
  const parser = createParser({
    onEvent: ({ id, data }) => events.push({ id: Number(id), event: JSON.parse(data) as CloudEvent }),
    onComment: (comment) => comments.push(comment),
  })
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      const text = decoder.decode(chunk as Uint8Array, { stream: true })
      state.text += text
      parser.feed(text)
    }
    state.ended = true
  }
  read().catch((error: unknown) => {
    if (!hangUp.signal.aborted) state.text += `\nbroken: ${String(error)}`
  })
  return {
    status: response.status,
    headers: response.headers,
    events,
    comments,
    get text() {
      return state.text
    },
    get ended() {
      return state.ended
    },
    close: () => hangUp.abort(),
  }
}

export const seqs = ({ events }: { events: readonly Received[] }): number[] => events.map(({ event }) => event.seq)

/** 1, 2, 3 … n */
export const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1)
