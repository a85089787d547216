/**
 * What every service of the control plane runs beside its own work.
 *
 * B1 A replica is ready when Postgres answers on the pools that it names, its loops come round and it knows who is revoked.
 * B2 A replica without Redis is ready and says what is missing: work moves by polls, and hints wait in the outbox.
 * B3 A revocation that has committed is known here within about a second.
 */
import { createRevocationList } from '@hypercode/db'
import type { Db, RevocationList } from '@hypercode/db'
import { createPublisher } from '@hypercode/events'
import type { Keys, Publisher } from '@hypercode/events'
import { CheckError, createLoops } from '@hypercode/http'
import type { AuthOptions, Check, Loops, OptionalCheck } from '@hypercode/http'
import type { Logger, Metrics } from '@hypercode/telemetry'
import type { Redis } from 'ioredis'
import { sql } from 'kysely'

export interface BackboneDeps {
  /**
   * What /readyz asks, each of them: the pools that requests hang on. One that serves loops alone is told of by these.
   * The first one reads revocations and relays the outbox.
   */
  readonly pools: readonly [Db, ...Db[]]
  readonly redis: Redis
  readonly keys: Keys
  readonly log: Logger
  readonly metrics: Metrics
}

export interface Backbone {
  readonly loops: Loops
  readonly revocations: RevocationList
  readonly publisher: Publisher
  /** For the `auth` of the service. */
  readonly isRevoked: NonNullable<AuthOptions['isRevoked']>
  /** What /readyz asks. */
  readonly checks: Readonly<Record<'postgres' | 'redis' | 'revocations' | 'loops', Check | OptionalCheck>>
  /** Tells what to do with an error of Redis about `what`: it is counted, since a relay or a poll makes up for it. */
  noteLost(what: 'hints' | 'doorbell'): (error: unknown) => void
  /** Reads at once who is revoked; rejects when Postgres does not answer. */
  readRevocations(): Promise<void>
  /** Starts the loop that reads who is revoked. */
  startReading(): void
  /** Starts the loop that publishes what could not be published when it was written. */
  startRelaying(): void
}

const REVOCATIONS_EVERY_MS = 1000
const RELAY_EVERY_MS = 1000
const RELAY_BACKOFF_MAX_MS = 5000

export function createBackbone({ pools, redis, keys, log, metrics }: BackboneDeps): Backbone {
  const [db] = pools
  const loops = createLoops({ log, metrics })
  const revocations = createRevocationList(db)
  const lost = metrics.counter({
    name: 'hypercode_publish_failures_total',
    help: 'Hints and doorbells that Redis did not take; a relay or a poll makes up for them',
    labels: ['what'],
  })
  const noteLost: Backbone['noteLost'] = (what) => (err) => {
    lost.inc({ what })
    log.debug({ err, what }, 'redis did not take it')
  }
  const publisher = createPublisher({ db, redis, keys, onFailure: noteLost('hints') })

  let areRevocationsKnown = false
  const readRevocations = async (): Promise<void> => {
    await revocations.refresh()
    areRevocationsKnown = true
  }

  return {
    loops,
    revocations,
    publisher,
    isRevoked: (claims) => revocations.isRevoked(claims),
    checks: {
      postgres: async () => void (await Promise.all(pools.map(async (pool) => await sql`select 1`.execute(pool)))),
      redis: { critical: false, run: async () => void (await redis.ping()) },
      revocations: () => {
        if (!areRevocationsKnown) throw new CheckError('not read yet')
      },
      loops: loops.check,
    },
    noteLost,
    readRevocations,
    startReading() {
      loops.start('revocations', {
        everyMs: REVOCATIONS_EVERY_MS,
        backoffMaxMs: REVOCATIONS_EVERY_MS,
        run: readRevocations,
      })
    },
    startRelaying() {
      loops.start('outbox', {
        everyMs: RELAY_EVERY_MS,
        backoffMaxMs: RELAY_BACKOFF_MAX_MS,
        critical: false,
        run: async () => void (await publisher.relayTurn()),
      })
    },
  }
}
