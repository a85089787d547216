import type { Redis } from 'ioredis'
import type { Keys } from './keys.ts'

/** A doorbell is worth nothing after the next poll, so few are kept. */
const BELL_MAX_ENTRIES = 1000

/** Names a place where work waits: a queue of a tenant. */
export interface QueueRef {
  tenantId: string
  queue: string
}

/**
 * Tells every replica to serve the claims that wait at these queues: work was queued, or an agent instance that keeps its claim waiting
 * was made ready (a spare that is promoted). Ring after the commit. Best effort: a lost, doubled or trimmed doorbell is harmless, since waiting claims also
 * poll. Rejects when Redis did not take it within its command time-out.
 */
export async function ringBell(redis: Redis, keys: Keys, queues: readonly QueueRef[]): Promise<void> {
  if (queues.length === 0) return
  await redis.xadd(keys.bell, 'MAXLEN', '~', BELL_MAX_ENTRIES, '*', 'queues', JSON.stringify(queues))
}

export function parseBell(text: string | undefined): QueueRef[] {
  if (text === undefined) return []
  try {
    const parsed: unknown = JSON.parse(text)
    return Array.isArray(parsed) ? parsed.filter(isQueueRef) : []
  } catch (error) {
    if (error instanceof SyntaxError) return []
    throw error
  }
}

const isQueueRef = (value: unknown): value is QueueRef =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as Record<string, unknown>)['tenantId'] === 'string' &&
  typeof (value as Record<string, unknown>)['queue'] === 'string'
