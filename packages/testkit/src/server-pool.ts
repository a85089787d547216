import pg from 'pg'

const pools = new Map<string, pg.Pool>()

/**
 * The connections of this test process to a server of the run. They are kept from one test to the next: every test makes, looks at and
 * drops a database, and a login for each of them costs as much as the work.
 */
export function serverPool(url: string): pg.Pool {
  const known = pools.get(url)
  if (known !== undefined) return known
  const pool = new pg.Pool({
    connectionString: url,
    max: 4, // tests of one file may run at the same time
    connectionTimeoutMillis: 10_000,
    query_timeout: 30_000,
    idleTimeoutMillis: 30_000,
    allowExitOnIdle: true,
  })
  pool.on('error', () => undefined) // one that is lost while nobody uses it is replaced by the next query
  pools.set(url, pool)
  return pool
}
