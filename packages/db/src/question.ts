import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { DatabaseOptions } from './open-database.ts'

/** Asks a server whether it is there. */
export interface Question {
  /** Makes its connection, so that it is there when it is needed. */
  warm(): void
  /** Resolves when the server answers; rejects when it is not there, or when the signal aborts. */
  ask(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** Then a second connection is tried: the first one may have died without a word. */
const SECOND_MS = 300

/**
 * One connection is kept for it: on a machine that has too much to do, to make a new one takes longer than any answer, and a server that is
 * slow must not be taken for one that is gone.
 */
export function openQuestion({ url, applicationName, onIdleError }: DatabaseOptions): Question {
  const pool = new pg.Pool({
    connectionString: url,
    min: 1,
    max: 2,
    application_name: applicationName,
    connectionTimeoutMillis: 2000,
    keepAlive: true,
  })
  pool.on('error', onIdleError)
  pool.on('connect', (client) => client.on('error', onIdleError))
  return {
    warm: () => void askOn(pool, AbortSignal.timeout(2000)).catch(onIdleError),
    async ask(given) {
      const ended = new AbortController()
      const signal = AbortSignal.any([given, ended.signal])
      const second = sleep(SECOND_MS, undefined, { ref: false, signal })
      try {
        await Promise.any([askOn(pool, signal), second.then(async () => await askOn(pool, signal))])
      } catch (error) {
        throw error instanceof AggregateError ? error.errors[0] : error
      } finally {
        ended.abort()
      }
    },
    close: async () => await pool.end(),
  }
}

/** A connection that has not answered when the signal aborts is thrown away. */
async function askOn(pool: pg.Pool, signal: AbortSignal): Promise<void> {
  const client = await pool.connect()
  let isGone = false
  const release = (destroy: boolean): void => {
    if (!isGone) client.release(destroy)
    isGone = true
  }
  const leave = (): void => release(true)
  signal.addEventListener('abort', leave, { once: true })
  try {
    await client.query('select 1')
    release(false)
  } catch (error) {
    leave()
    throw error
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
