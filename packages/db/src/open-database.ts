import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { createPlanBook, keepPlans } from './kept-plans.ts'
import type { Database, Db } from './schema.ts'
import { openQuestion } from './question.ts'
import { pipelineTransactions } from './pipelined-transactions.ts'
import { DatabaseSilent, createSilenceWatch } from './silence-watch.ts'
import type { SilenceWatch } from './silence-watch.ts'
import { isConnectionError } from './transaction.ts'

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
 * Opens a pool. Statements that are sent often keep their plans (`keepPlans`), and transactions wait less (`pipelineTransactions`). It sets no server-side time-outs at connect (the pooler
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
    pipeline: true,
    types: { getTypeParser },
  })
  const question = openQuestion(options)
  const watch = createSilenceWatch({
    ask: async (signal) => await question.ask(signal),
    isAnswer: (error) => !isConnectionError(error),
  })
  // A client that loses its server emits 'error'; with no listener that ends the process.
  pool.on('error', options.onIdleError)
  const plans = createPlanBook(options.keepPlanAfter === undefined ? {} : { worthAfter: options.keepPlanAfter })
  pool.on('connect', (client) => {
    client.on('error', options.onIdleError)
    keepPlans(client, plans)
    leaveWhenSilent(client, watch, options.onIdleError)
    pipelineTransactions(client)
  })
  pool.once('connect', () => question.warm())
  const connect = async (): Promise<pg.PoolClient> => await connectUnlessSilent(pool, watch, options.onIdleError)
  const end = async (): Promise<void> => {
    watch.stop()
    await Promise.all([question.close(), pool.end()])
  }
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: { options: pool.options, connect, end } }) })
  return {
    db,
    stats: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: async () => db.destroy(),
  }
}

/** A connection that comes when its caller has been told of the silence goes back to the pool. */
async function connectUnlessSilent(
  pool: pg.Pool,
  watch: SilenceWatch,
  onError: (error: Error) => void,
): Promise<pg.PoolClient> {
  let connecting: Promise<pg.PoolClient> | undefined
  try {
    return await watch.waitFor(async () => await (connecting = pool.connect()))
  } catch (error) {
    if (error instanceof DatabaseSilent) connecting?.then((client) => client.release()).catch(onError)
    throw error
  }
}

/**
 * Ends the connection of a query that got no answer in time. node-pg only stops to wait: the connection would go back to the pool, busy
 * with a query that nobody waits for, and would cost every later caller a time-out; and a rollback would wait as long again.
 */
function leaveWhenSilent(client: pg.PoolClient, watch: SilenceWatch, onError: (error: Error) => void): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown
  const leave = async (error: unknown): Promise<void> => {
    if (error instanceof DatabaseSilent || (error instanceof Error && error.message === 'Query read timeout'))
      await (client as pg.PoolClient & pg.Client).end()
  }
  const impatient = async (...args: unknown[]): Promise<unknown> => {
    try {
      return await watch.answerOf(async () => await query(...args))
    } catch (error) {
      leave(error).catch(onError)
      throw error
    }
  }
  Object.assign(client, { query: impatient })
}

/** Counters and sequences of ours stay far below 2^53, so a bigint may be a number; node-pg would make it text. */
function getTypeParser(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  if (oid === INT8) return Number
  return pg.types.getTypeParser(oid, format as 'text')
}
