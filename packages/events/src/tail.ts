/**
 * Reads the new entries of a stream, for every replica by itself: a broadcast, no consumer group. Nothing is owed to an entry, since it
 * is only a hint; so a flushed Redis, a trimmed stream or a destroyed group cannot lose anything here.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { openRedis } from './open-redis.ts'

export interface TailOptions {
  url: string
  stream: string
  /** Called with each entry's fields, in order. Must not throw. */
  onEntry: (fields: Readonly<Record<string, string>>) => void
  /** Called when entries may have been missed: after each (re)connect. Readers then look into Postgres. Must not throw. */
  onGap: () => void
  onError: (error: Error) => void
  /**
   * The least time between two reads while entries come; none when left out. An entry after a quiet time is seen at once, one in the middle of
   * many waits for so long, and then they come together: to be woken for each costs a reader 0.1 ms of processor time.
   */
  paceMs?: number
}

export interface Tail {
  /** True while the stream is being read. */
  readonly connected: boolean
  stop(): Promise<void>
}

const BLOCK_MS = 2000
const COUNT = 500
const RETRY_MS = 500

export function tailStream(options: TailOptions): Tail {
  const redis = openRedis({ url: options.url, role: 'reader', onError: options.onError })
  const stop = new AbortController()
  const stopped = new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve(), { once: true }))
  let connected = false

  const lastId = async (): Promise<string> => {
    const newest = await redis.xrevrange(options.stream, '+', '-', 'COUNT', 1)
    return newest[0]?.[0] ?? '0-0'
  }

  const readOn = async (): Promise<void> => {
    let id = await lastId()
    if (stop.signal.aborted) return
    connected = true
    options.onGap()
    while (!stop.signal.aborted) {
      const answer = await redis.xread('COUNT', COUNT, 'BLOCK', BLOCK_MS, 'STREAMS', options.stream, id)
      if (stop.signal.aborted) return
      for (const [entryId, fields] of answer?.[0]?.[1] ?? []) {
        options.onEntry(fieldsOf(fields))
        id = entryId
      }
      if (options.paceMs !== undefined && answer !== null) await sleep(options.paceMs, undefined, { ref: false })
    }
  }

  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        // A command that waits for a reconnect is never answered once we have disconnected, so the stop does not wait for it.
        await Promise.race([readOn(), stopped])
      } catch (error) {
        connected = false
        if (stop.signal.aborted) return // disconnect() ends the blocked read with an error
        options.onError(error instanceof Error ? error : new Error(String(error)))
        await Promise.race([sleep(RETRY_MS), stopped])
      }
    }
  }

  const done = loop()
  return {
    get connected() {
      return connected && redis.status === 'ready' && !stop.signal.aborted
    },
    async stop() {
      stop.abort()
      redis.disconnect()
      await done
    },
  }
}

function fieldsOf(flat: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {}
  for (let i = 0; i + 1 < flat.length; i += 2) fields[flat[i] as string] = flat[i + 1] as string
  return fields
}
