import type { RunServers } from './provided.ts'
import { serverPool } from './server-pool.ts'
import { waitFor } from './wait-for.ts'

/**
 * Throws, with what it found, when somebody is still connected to the database, through PgBouncer or straight. A connection that was
 * closed may take `graceMs` to vanish from the servers' lists.
 */
export async function expectNoConnections(
  servers: RunServers,
  database: string,
  testName: string,
  graceMs = 2000,
): Promise<void> {
  let found: string[] = []
  try {
    await waitFor(async () => (found = await connectionsTo(servers, database)).length === 0, {
      what: 'closed connections',
      timeoutMs: graceMs,
    })
  } catch (error) {
    if (found.length === 0) throw error
    throw new Error(
      `"${testName}" left ${found.length} connection(s) to its database open: ${found.join(', ')}. ` +
        'Close every pool, client and service that a test opens.',
      { cause: error },
    )
  }
}

async function connectionsTo(servers: RunServers, database: string): Promise<string[]> {
  const admin = serverPool(servers.pgbouncerAdminUrl)
  const clients = await admin.query<{ database: string; application_name: string; port: number }>('show clients')
  const links = await admin.query<{ database: string; local_port: number }>('show servers')
  const pooled = clients.rows.filter((row) => row.database === database)
  const poolersPorts = new Set(
    links.rows.filter((row) => row.database === database).map((row) => Number(row.local_port)),
  )
  const { rows } = await serverPool(servers.directUrl).query<{
    application_name: string
    client_port: number
    query: string
  }>(
    `select application_name, client_port, query from pg_stat_activity where datname = $1 and backend_type = 'client backend'`,
    [database],
  )
  // The pooler keeps its own connections for a while; those are nobody's leak.
  const direct = rows.filter((row) => !poolersPorts.has(row.client_port))
  return [
    ...pooled.map((row) => `${row.application_name || 'a client'} through PgBouncer`),
    ...direct.map(
      (row) => `${row.application_name || 'a client'} straight to Postgres (last: ${row.query.slice(0, 80)})`,
    ),
  ]
}
