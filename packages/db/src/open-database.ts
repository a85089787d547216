import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { createPlanBook, keepPlans } from './kept-plans.ts'
import type { Database, Db } from './schema.ts'

export interface DatabaseOptions {
  /** Through PgBouncer in transaction mode, except for migrations. */
  url: string
  poolMax: number
  applicationName: string
  /** Told of every connection that the server dropped while it was idle. Must not throw. */
  onIdleError: (error: Error) => void
  /** How long a caller waits for a connection of the pool, in milliseconds. Default 2000. */
  connectTimeoutMs?: number
  /** How long a statement may take before the client gives up on it, in milliseconds. Default 6000. */
  queryTimeoutMs?: number
  /** Times that a statement is sent before Postgres is asked to keep its plan. Default 20. */
  keepPlanAfter?: number
}

export interface DatabaseHandle {
  readonly db: Db
  /** Connections now: all, idle, and callers that wait for one. */
  stats(): { total: number; idle: number; waiting: number }
  close(): Promise<void>
}

const INT8 = 20

/**
 * Opens a pool. Statements that are sent often keep their plans (`keepPlans`). It sets no server-side time-outs at connect (the pooler
 * refuses such start-up parameters): those live on the role.
 */
export function openDatabase(options: DatabaseOptions): DatabaseHandle {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolMax,
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 2000,
    query_timeout: options.queryTimeoutMs ?? 6000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    types: { getTypeParser },
  })
  // A client that loses its server emits 'error'; with no listener that ends the process.
  pool.on('error', options.onIdleError)
  const plans = createPlanBook(options.keepPlanAfter === undefined ? {} : { worthAfter: options.keepPlanAfter })
  pool.on('connect', (client) => {
    client.on('error', options.onIdleError)
    keepPlans(client, plans)
    leaveWhenSilent(client, options.onIdleError)
  })
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  return {
    db,
    stats: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: async () => db.destroy(),
  }
}

/**
 * Ends the connection of a query that got no answer in time. node-pg only stops to wait: the connection would go back to the pool, busy
 * with a query that nobody waits for, and would cost every later caller a time-out; and a rollback would wait as long again.
 */
function leaveWhenSilent(client: pg.PoolClient, onError: (error: Error) => void): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown
  const leave = async (error: unknown): Promise<void> => {
    if (error instanceof Error && error.message === 'Query read timeout')
      await (client as pg.PoolClient & pg.Client).end()
  }
  const impatient = (...args: unknown[]): unknown => {
    const answer = query(...args)
    if (answer instanceof Promise) answer.catch(leave).catch(onError)
    return answer
  }
  Object.assign(client, { query: impatient })
}

/** Counters and sequences of ours stay far below 2^53, so a bigint may be a number; node-pg would make it text. */
function getTypeParser(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  if (oid === INT8) return Number
  return pg.types.getTypeParser(oid, format as 'text')
}
