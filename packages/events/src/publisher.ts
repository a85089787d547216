/**
 * The way of an event hint from the outbox to the stream.
 *
 * P1 A hint is published at least once after its transaction committed: at once by the process that wrote it, else by a relay turn.
 * P2 A row is deleted only after Redis took its entry.
 * P3 Redis being away costs a published hint time, and the publisher no memory: what could not be sent waits in Postgres.
 */
import { createLane } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import type { Redis } from 'ioredis'
import { HINTS_PER_ENTRY } from './hints.ts'
import { deleteSent, takeDue } from './outbox.ts'
import type { OutboxRow } from './outbox.ts'
import type { Keys } from './keys.ts'

/** Entries that the stream keeps, about. A reader that falls further behind reads Postgres. */
const STREAM_MAX_ENTRIES = 100_000
const RELAY_BATCH = 100
/** So many batches at most in one turn: after a long outage of Redis what has gathered goes out in minutes, and a turn still ends. */
const RELAY_ROUNDS_MAX = 50

/** Well below the time after which a relay would send them again. */
const FORGET_MS = 100

export interface PublisherOptions {
  db: Db
  redis: Redis
  keys: Keys
  /** Told why a publish failed; the row stays for the relay. Must not throw. */
  onFailure: (error: unknown) => void
}

export interface Publisher {
  /** Publishes a committed row in the background. Never throws: what fails here is sent by a later relay turn. */
  publishSoon(row: OutboxRow): void
  /** Sends rows that are overdue; answers how many it sent. Run it as a loop in every replica. */
  relayTurn(): Promise<number>
  /** Resolves when nothing is on its way. */
  idle(): Promise<void>
}

export function createPublisher({ db, redis, keys, onFailure }: PublisherOptions): Publisher {
  const send = async (row: OutboxRow): Promise<void> => {
    for (let at = 0; at < row.hints.length; at += HINTS_PER_ENTRY) {
      const entry = JSON.stringify(row.hints.slice(at, at + HINTS_PER_ENTRY))
      await redis.xadd(keys.events, 'MAXLEN', '~', STREAM_MAX_ENTRIES, '*', 'hints', entry)
    }
  }

  const sender = createLane<OutboxRow, void>({
    name: 'publish',
    maxBatch: 200,
    lanes: 1,
    maxWaiting: 10_000,
    onFull: (waiting) => new Error(`${waiting} rows wait to be published`),
    mayIsolate: () => false,
    run: async (rows) => {
      await Promise.all(rows.map(send)) // pipelined into one write
      forgetSoon(rows)
      return rows.map(() => undefined)
    },
  })

  /** Rows that Redis took and that are still in the outbox. Deleting them together spares most of the statements of a quiet service. */
  let sent: number[] = []
  let forgetting: NodeJS.Timeout | undefined
  const forgetSoon = (rows: readonly OutboxRow[]): void => {
    sent.push(...rows.map((row) => row.id))
    forgetting ??= setTimeout(() => {
      forget().catch(onFailure)
    }, FORGET_MS)
  }
  const forget = async (): Promise<void> => {
    clearTimeout(forgetting)
    forgetting = undefined
    const ids = sent
    sent = []
    await deleteSent(db, ids)
  }

  return {
    publishSoon: (row) => void sender.submit(row).catch(onFailure),
    async relayTurn() {
      let sent = 0
      for (let round = 0; round < RELAY_ROUNDS_MAX; round += 1) {
        const rows = await takeDue(db, RELAY_BATCH)
        await Promise.all(rows.map(send))
        await deleteSent(
          db,
          rows.map((row) => row.id),
        )
        sent += rows.length
        if (rows.length < RELAY_BATCH) break
      }
      return sent
    },
    async idle() {
      await sender.idle()
      // What could not be deleted is sent once more by a relay, which is harmless.
      await forget().catch(onFailure)
    },
  }
}
