import { migrate } from '@hypercode/db'
import { APP_ROLE } from '@hypercode/local-stack'
import { withClient } from './direct-client.ts'
import { startTemporaryStack } from './private-stack.ts'
import type { RunServers } from './provided.ts'
import { withDatabase } from './with-database.ts'

const TEMPLATE = 'hypercode_template'

/** Starts the servers of a run and makes the migrated database that tests clone. */
export async function startRunServers(): Promise<{ servers: RunServers; stop: () => Promise<void> }> {
  const stack = await startTemporaryStack()
  try {
    const directUrl = stack.directDatabaseUrl
    await withClient(directUrl, async (client) => await client.query(`create database ${TEMPLATE}`))
    await migrate({ directUrl: withDatabase(directUrl, TEMPLATE), appRole: APP_ROLE })
    // Nobody may be connected to a database that is being copied.
    await withClient(directUrl, async (client) => {
      await client.query(`alter database ${TEMPLATE} with is_template true allow_connections false`)
    })
    const { databaseUrl, pgbouncerAdminUrl, redisUrl } = stack
    return {
      servers: { directUrl, pooledUrl: databaseUrl, pgbouncerAdminUrl, redisUrl, template: TEMPLATE },
      stop: async () => await stack.stop(),
    }
  } catch (error) {
    await stack.stop()
    throw error
  }
}
