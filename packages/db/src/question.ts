import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { DatabaseOptions } from './open-database.ts'

/** Asks a server whether it is there. */
export interface Question {
  /** Makes its connection, so that it is there when it is needed. */
  warm(): void
  /** Resolves when the server answers; rejects when it does not within this time, or is not there. */
  ask(withinMs: number): Promise<void>
  close(): Promise<void>
}

/** Then a second connection is tried: the first one may have died without a word. */
const SECOND_MS = 300
const GIVE_UP_MS = 1000

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
    connectionTimeoutMillis: GIVE_UP_MS,
    query_timeout: GIVE_UP_MS,
    keepAlive: true,
  })
  pool.on('error', onIdleError)
  pool.on('connect', (client) => client.on('error', onIdleError))
  const once = async (): Promise<void> => {
    const client = await pool.connect()
    try {
      await client.query('select 1')
      client.release()
    } catch (error) {
      client.release(true)
      throw error
    }
  }
  return {
    warm: () => void once().catch(onIdleError),
    async ask(withinMs) {
      const ended = new AbortController()
      const after = async (ms: number): Promise<void> =>
        await sleep(ms, undefined, { ref: false, signal: ended.signal })
      const answer = Promise.any([once(), after(SECOND_MS).then(once)])
      const late = after(withinMs).then(() => Promise.reject(new Error('Query read timeout')))
      try {
        await Promise.race([answer, late])
      } catch (error) {
        throw error instanceof AggregateError ? error.errors[0] : error
      } finally {
        ended.abort()
      }
    },
    close: async () => await pool.end(),
  }
}
