/** What every change of the factory needs: the database, the way out for its news, and a nudge for the engine. */
import { ringBell } from '@hypercode/events'
import type { Keys, QueueRef } from '@hypercode/events'
import type { Logger } from '@hypercode/telemetry'
import type { Redis } from 'ioredis'
import type { ChangeDeps } from '../store/changes.ts'
import type { FactoryLimits } from '../domain/blueprint-faults.ts'

export interface Fleet extends ChangeDeps {
  readonly limits: FactoryLimits
  /** Live instances that the factory has at most, of all tenants. */
  readonly instancesMax: number
  /** Lets the engine look now. */
  readonly nudge: () => void
  /** Tells waiting claims that somebody new serves these queues. Never throws: they also poll. */
  readonly ring: (queues: readonly QueueRef[]) => Promise<void>
}

export function createRing({ redis, keys, log }: { redis: Redis; keys: Keys; log: Logger }): Fleet['ring'] {
  return async (queues) => {
    try {
      await ringBell(redis, keys, queues)
    } catch (err) {
      log.warn({ err }, 'the doorbell did not ring; claims poll')
    }
  }
}
