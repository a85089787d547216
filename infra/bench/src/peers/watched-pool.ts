import pg from 'pg'

/** A pool that says what goes wrong with connections that nobody is using. */
export function openWatchedPool(databaseUrl: string, max: number, name: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: databaseUrl, max })
  const complain = (error: Error): void => void process.stderr.write(`${name}: ${error.message}\n`)
  pool.on('error', complain)
  pool.on('connect', (client) => void client.on('error', complain))
  return pool
}
