import { mkdirSync } from 'node:fs'
import path from 'node:path'
import type { ServerName } from './binaries.ts'
import { startComposeServers } from './compose-servers.ts'
import type { FolderLock } from './folder-lock.ts'
import { lockFolder } from './folder-lock.ts'
import { startLocalServers } from './local-servers.ts'
import { PGBOUNCER_ADMIN } from './pgbouncer.ts'
import { APP_ROLE, DATABASE, OWNER_ROLE, dataMajor } from './postgres.ts'
import { provideServers } from './provide-servers.ts'
import type { StackSecrets } from './secrets.ts'
import { loadSecrets } from './secrets.ts'
import type { RunningServers, Stack, StackOptions } from './stack-types.ts'

// The pooler goes first, so that Postgres has nobody left to wait for.
const STOP_ORDER: readonly ServerName[] = ['pgbouncer', 'redis', 'postgres']

/**
 * Starts private Postgres, PgBouncer (transaction mode) and Redis on free ports of 127.0.0.1, as an unprivileged user.
 *
 * The folder is owned until `stop()`. Servers that a killed starter left behind are used again when they are healthy and
 * fit the options, and are stopped otherwise; two servers never run on the same files.
 *
 * @throws {FolderInUseError} when another living process owns the folder
 * @throws {MissingServersError} when the servers are not here and cannot be fetched
 * @throws {StackError} with the end of a server's log when that does not start
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { dir, runtimeDir = path.join(dir, 'runtime'), composeFile, log, signal } = options
  mkdirSync(dir, { recursive: true })
  const lock = await lockFolder(dir, options.lockWaitMs ?? 30_000)
  try {
    const postgresMajor = dataMajor(dir)
    const source = await provideServers({
      runtimeDir,
      composeFile,
      postgresMajor,
      signal,
      ...(log === undefined ? {} : { log }),
    })
    signal?.throwIfAborted()
    const secrets = loadSecrets(dir)
    const running =
      source.kind === 'programs'
        ? await startLocalServers(options, source.binaries, secrets)
        : await startComposeServers(options, source.composeFile, secrets)
    lock.mark('up')
    return stackOf(running, secrets, lock)
  } catch (error) {
    lock.release()
    throw error
  }
}

function stackOf({ servers, reattached, cleanUp }: RunningServers, secrets: StackSecrets, lock: FolderLock): Stack {
  const { postgres, pgbouncer, redis } = servers
  let stopping: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    lock.mark('stopping')
    for (const name of STOP_ORDER) await servers[name].stop()
    await cleanUp()
    lock.release()
  }
  return {
    databaseUrl: postgresUrl(APP_ROLE, secrets.app, pgbouncer.port, DATABASE),
    directDatabaseUrl: postgresUrl(OWNER_ROLE, secrets.owner, postgres.port, DATABASE),
    pgbouncerAdminUrl: postgresUrl(PGBOUNCER_ADMIN, secrets.pgbouncerAdmin, pgbouncer.port, 'pgbouncer'),
    redisUrl: `redis://:${secrets.redis}@127.0.0.1:${redis.port}/0`,
    servers,
    ports: { postgres: postgres.port, pgbouncer: pgbouncer.port, redis: redis.port },
    get pids() {
      return { postgres: postgres.pid, pgbouncer: pgbouncer.pid, redis: redis.pid }
    },
    reattached,
    stop: async () => await (stopping ??= stop()),
    killNow: () => {
      for (const name of STOP_ORDER) servers[name].killNow()
    },
  }
}

function postgresUrl(role: string, password: string, port: number, database: string): string {
  return `postgres://${role}:${password}@127.0.0.1:${port}/${database}`
}
