import { existsSync, mkdtempSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { migrate } from '@hypercode/db'
import { APP_ROLE, dataHome, startStack } from '@hypercode/local-stack'
import type { Stack } from '@hypercode/local-stack'

/**
 * Servers of one test file, for tests that kill, freeze or empty them; the servers of the run must never be harmed. Its database is
 * migrated. Takes about a second. Stop it in the end; should the process die before, it stops by itself.
 */
export async function startPrivateStack(): Promise<Stack> {
  const stack = await startTemporaryStack()
  try {
    await migrate({ directUrl: stack.directDatabaseUrl, appRole: APP_ROLE })
    return stack
  } catch (error) {
    await stack.stop()
    throw error
  }
}

/** Empty servers in a new folder, gone with this process. */
export async function startTemporaryStack(): Promise<Stack> {
  return await startStack({
    dir: mkdtempSync(path.join(fastFolder(), 'hypercode-test-')),
    // Programs that had to be fetched are fetched once for a checkout.
    runtimeDir: path.join(dataHome(path.resolve(import.meta.dirname, '../../..')).dir, 'runtime'),
    durable: false,
    anyDatabase: true,
    ephemeral: true,
    // Every test has a database of its own, so a pool of the usual size for each would use up the connections of Postgres.
    poolSize: 10,
  })
}

const MEMORY_DISK = '/dev/shm'
const MEMORY_DISK_MIN_BYTES = 2 * 1024 ** 3

/** In memory where there is room for it: every test copies a database, which a busy disk makes twenty times slower. */
function fastFolder(): string {
  if (!existsSync(MEMORY_DISK)) return tmpdir()
  const { bavail, bsize } = statfsSync(MEMORY_DISK)
  return bavail * bsize >= MEMORY_DISK_MIN_BYTES ? MEMORY_DISK : tmpdir()
}
