import { Redis } from 'ioredis'

export interface RedisOptions {
  url: string
  /** A producer fails fast and queues nothing while Redis is away; a reader blocks on its stream and waits for it to come back. */
  role: 'producer' | 'reader'
  /** Told of every lost connection and failed reconnect. Must not throw. */
  onError: (error: Error) => void
}

const RECONNECT_MAX_MS = 2000

/** Opens a connection in the background; the caller may use it at once. */
export function openRedis(options: RedisOptions): Redis {
  const producer = options.role === 'producer'
  const redis = new Redis(options.url, {
    connectTimeout: 1000,
    enableOfflineQueue: !producer,
    maxRetriesPerRequest: producer ? 1 : null,
    // Otherwise a reply that was cut off would append the same entries twice by itself.
    autoResendUnfulfilledCommands: false,
    enableAutoPipelining: producer,
    retryStrategy: (times) => Math.min(RECONNECT_MAX_MS, 50 * 2 ** Math.min(times, 6)) * (0.5 + Math.random() / 2),
    ...(producer ? { commandTimeout: 500 } : {}),
  })
  // Unheard, an error of the connection would end the process.
  redis.on('error', options.onError)
  return redis
}
