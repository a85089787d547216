import { setTimeout as sleep } from 'node:timers/promises'
import { isStalePlan } from './kept-plans.ts'
import type { Db, Trx } from './schema.ts'
import { DatabaseSilent } from './silence-watch.ts'

/** SQLSTATEs after which the same unit of work may simply be tried again: it was rolled back, or its server went away. */
const RETRYABLE = new Set(['40001', '40P01', '55P03', '57P01', '57P02', '57P03'])
/** What node reports when the way to the server, or the server, is gone. */
const CONNECTION = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN'])
/** node-pg gives these no code. PgBouncer answers 08P01 with "query_wait_timeout" and the like. */
const CONNECTION_TEXT =
  /timeout exceeded when trying to connect|Connection terminated|Query read timeout|Client (has encountered a connection error|was closed)|server closed the connection|query_wait_timeout|pgbouncer cannot connect/i

const codeOf = (error: unknown): string => {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : ''
}

/** True when Postgres or the pooler could not be reached, or dropped the connection: "did it commit?" is then open. */
export function isConnectionError(error: unknown): boolean {
  const code = codeOf(error)
  return (
    error instanceof DatabaseSilent ||
    code.startsWith('08') ||
    code.startsWith('57P') ||
    code.startsWith('53') ||
    CONNECTION.has(code) ||
    CONNECTION_TEXT.test(error instanceof Error ? error.message : '')
  )
}

export const isRetryable = (error: unknown): boolean =>
  RETRYABLE.has(codeOf(error)) || isStalePlan(error) || isConnectionError(error)

/**
 * Runs `work` in one transaction and repeats it whole, at most `tries` times, after a serialization failure, a deadlock or a lost
 * connection. So `work` must be a unit that may be repeated: every write in it is a compare-and-set or keyed.
 */
export async function inTransaction<T>(db: Db, work: (trx: Trx) => Promise<T>, tries = 3): Promise<T> {
  return await repeatable(async () => await db.transaction().execute(work), tries)
}

/** The same for a single statement. */
export async function repeatable<T>(work: () => Promise<T>, tries = 3): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      // A silent server is not asked again at once: whoever can wait is told to.
      if (attempt >= tries || !isRetryable(error) || error instanceof DatabaseSilent) throw error
      await sleep(Math.random() * 50 * 2 ** attempt)
    }
  }
}
