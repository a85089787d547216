import { Redis } from 'ioredis'

export interface RedisOptions {
  url: string
  /** A producer fails fast and queues nothing while Redis is away; a reader blocks on its stream and waits for it to come back. */
  role: 'producer' | 'reader'
  /** Told of every lost connection and failed reconnect. Must not throw. */
  onError: (error: Error) => void
}

const RECONNECT_MAX_MS = 2000
/**
 * A connection that answers nothing for so long is given up and made anew: it can die without a word, and TCP alone would notice after
 * a quarter of an hour. A reader blocks for 2 s at most and so hears something before.
 */
const SILENCE_MS = { producer: 1000, reader: 4000 } as const

/** Opens a connection in the background; the caller may use it at once. */
export function openRedis(options: RedisOptions): Redis {
  const producer = options.role === 'producer'
  const redis = new Redis(options.url, {
    connectTimeout: 1000,
    socketTimeout: SILENCE_MS[options.role],
    enableOfflineQueue: !producer,
    // Otherwise a reply that was cut off would append the same entries twice by itself.
    autoResendUnfulfilledCommands: false,
    // So what was under way when the connection went fails at once. With any more retries it would never be settled at all.
    maxRetriesPerRequest: 0,
    enableAutoPipelining: producer,
    retryStrategy: (times) => Math.min(RECONNECT_MAX_MS, 50 * 2 ** Math.min(times, 6)) * (0.5 + Math.random() / 2),
    ...(producer ? { commandTimeout: 500 } : {}),
  })
  // Unheard, an error of the connection would end the process.
  redis.on('error', options.onError)
  return redis
}
