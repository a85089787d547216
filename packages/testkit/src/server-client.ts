import pg from 'pg'

const clients = new Map<string, Promise<pg.Client>>()

/**
 * The connection of this test process to a server of the run, which is opened once and ends with the process: every test makes, looks
 * at and drops a database, and a login for each of them costs as much as the work.
 */
export async function serverClient(url: string): Promise<pg.Client> {
  const known = clients.get(url)
  if (known !== undefined) return await known
  const opening = open(url)
  clients.set(url, opening)
  try {
    return await opening
  } catch (error) {
    clients.delete(url)
    throw error
  }
}

async function open(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, query_timeout: 30_000 })
  // Whoever is next opens another one.
  client.on('error', () => clients.delete(url))
  client.on('end', () => clients.delete(url))
  await client.connect()
  return client
}
