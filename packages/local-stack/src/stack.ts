import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { Account } from './account.ts'
import { canEnter, serverAccount } from './account.ts'
import type { Binaries, ServerName } from './binaries.ts'
import { findBinaries } from './binaries.ts'
import { StackError } from './errors.ts'
import { fetchBinaries } from './fetch-binaries.ts'
import { privateFolder } from './files.ts'
import type { FolderLock } from './folder-lock.ts'
import { lockFolder } from './folder-lock.ts'
import { stopLeftovers } from './leftovers.ts'
import { PGBOUNCER_ADMIN, pgbouncerPlan } from './pgbouncer.ts'
import { APP_ROLE, DATABASE, OWNER_ROLE, dataMajor, initPostgres, postgresPlan } from './postgres.ts'
import { redisPlan } from './redis.ts'
import type { StackSecrets } from './secrets.ts'
import { loadSecrets } from './secrets.ts'
import { ServerProcess } from './server-process.ts'
import type { ServerPlan } from './server-plan.ts'
import { readRecords } from './server-records.ts'
import { startWatchdog } from './watchdog-process.ts'

export interface StackOptions {
  /** Holds the data, passwords, logs and process ids. Made when it is not there. */
  readonly dir: string
  /** Where `fetchBinaries` unpacks; `<dir>/runtime` when not given. */
  readonly runtimeDir?: string
  /** What to run; found, or else fetched, when not given. */
  readonly binaries?: Binaries
  /** False for tests: nothing waits for the disk. Default true. */
  readonly durable?: boolean
  /** PgBouncer's connections to Postgres for each database and role. Default 20. */
  readonly poolSize?: number
  /** True: PgBouncer passes on any database name, so that tests can make their own databases. Default false. */
  readonly anyDatabase?: boolean
  /** True: the servers stop and `dir` is removed when this process ends, however it ends. Default false. */
  readonly ephemeral?: boolean
  /** How long to wait for another process that is starting or stopping in this folder. Default 30,000. */
  readonly lockWaitMs?: number
  /** One line for a person. */
  readonly log?: (line: string) => void
}

/** A handle on one server, for tests that make faults. */
export interface ServerHandle {
  readonly name: ServerName
  readonly port: number
  /** Of the last start; undefined where the server is not a process of this machine. */
  readonly pid: number | undefined
  readonly alive: boolean
  readonly logFile: string
  /** False when the server was gone already. */
  kill(signal: NodeJS.Signals): Promise<boolean>
  /** Resolves when the server's process has ended; false when it has not within `waitMs`. */
  waitGone(waitMs: number): Promise<boolean>
  /** Starts it again on the same port and files, and waits until it answers; stops it first when it lives. */
  restart(): Promise<void>
}

export interface Stack {
  /** Through PgBouncer, as the role of the services. */
  readonly databaseUrl: string
  /** Straight to Postgres, as the owner: for migrations. */
  readonly directDatabaseUrl: string
  readonly redisUrl: string
  /** PgBouncer's console (`SHOW POOLS`). */
  readonly pgbouncerAdminUrl: string
  readonly servers: Readonly<Record<ServerName, ServerHandle>>
  readonly ports: Readonly<Record<ServerName, number>>
  readonly pids: Readonly<Record<ServerName, number | undefined>>
  /** Servers that an earlier, killed starter had left running and that are used again. */
  readonly reattached: readonly ServerName[]
  /** Stops all three in order and gives the folder back. May be called twice. */
  stop(): Promise<void>
  /** Ends all three at once, without waiting: for a process that must exit now. */
  killNow(): void
}

/**
 * Starts private Postgres, PgBouncer (transaction mode) and Redis on free ports of 127.0.0.1, as an unprivileged user.
 *
 * The folder is owned until `stop()`. Servers that a killed starter left behind are used again when they are healthy and
 * fit the options, and are stopped otherwise; two servers never run on the same files.
 *
 * @throws {FolderInUseError} when another living process owns the folder
 * @throws {StackError} with the end of a server's log when that does not start
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { dir } = options
  mkdirSync(dir, { recursive: true })
  const lock = await lockFolder(dir, options.lockWaitMs ?? 30_000)
  try {
    return await startLocked(options, lock)
  } catch (error) {
    lock.release()
    throw error
  }
}

async function startLocked(options: StackOptions, lock: FolderLock): Promise<Stack> {
  const { dir, log = () => undefined } = options
  const account = serverAccount()
  const binaries = options.binaries ?? (await provideBinaries(options))
  prepareFolders(dir, account)
  mustFitData(dir, binaries)
  const watchdog = options.ephemeral === true ? startWatchdog(dir) : undefined
  const secrets = loadSecrets(dir)
  const common = { dir, account, binaries, secrets, durable: options.durable ?? true }
  const reattached: ServerName[] = []
  const started: ServerProcess[] = []
  const bring = async (plan: ServerPlan, init?: () => Promise<void>): Promise<ServerProcess> => {
    const server = new ServerProcess(dir, account, plan)
    const from = Date.now()
    if (await server.adopt()) reattached.push(plan.name)
    else {
      const record = readRecords(dir)[plan.name]?.process
      const left = await stopLeftovers(foldersOf(dir, plan.name), record === undefined ? [] : [record])
      if (left > 0) log(`stopped a ${plan.name} that an earlier run had left behind`)
      await init?.()
      await server.start()
    }
    started.push(server)
    log(
      `${plan.name} ${reattached.includes(plan.name) ? 'still runs' : 'is up'} on port ${server.port} (${Date.now() - from} ms)`,
    )
    return server
  }
  const database = async (): Promise<[ServerProcess, ServerProcess]> => {
    const postgres = await bring(postgresPlan(common), async () => await initPostgres(common))
    const { poolSize = 20, anyDatabase = false } = options
    return [postgres, await bring(pgbouncerPlan({ ...common, postgresPort: postgres.port, poolSize, anyDatabase }))]
  }
  const [databaseResult, redisResult] = await Promise.allSettled([database(), bring(redisPlan(common))])
  if (databaseResult.status === 'rejected' || redisResult.status === 'rejected') {
    for (const server of inStopOrder(started)) await server.stop()
    watchdog?.dismiss()
    throw [databaseResult, redisResult].find((result) => result.status === 'rejected')?.reason
  }
  lock.mark('up')
  const [postgres, pgbouncer] = databaseResult.value
  const servers = { postgres, pgbouncer, redis: redisResult.value }
  const release = (): void => {
    if (options.ephemeral === true) rmSync(dir, { recursive: true, force: true })
    lock.release()
    watchdog?.dismiss()
  }
  return stackOf(servers, secrets, reattached, lock, release)
}

function stackOf(
  servers: Record<ServerName, ServerProcess>,
  secrets: StackSecrets,
  reattached: ServerName[],
  lock: FolderLock,
  release: () => void,
): Stack {
  const { postgres, pgbouncer, redis } = servers
  const all = inStopOrder([postgres, pgbouncer, redis])
  const each = <T>(of: (server: ServerProcess) => T): Record<ServerName, T> => ({
    postgres: of(postgres),
    pgbouncer: of(pgbouncer),
    redis: of(redis),
  })
  let stopping: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    lock.mark('stopping')
    for (const server of all) await server.stop()
    release()
  }
  return {
    databaseUrl: postgresUrl(APP_ROLE, secrets.app, pgbouncer.port, DATABASE),
    directDatabaseUrl: postgresUrl(OWNER_ROLE, secrets.owner, postgres.port, DATABASE),
    pgbouncerAdminUrl: postgresUrl(PGBOUNCER_ADMIN, secrets.pgbouncerAdmin, pgbouncer.port, 'pgbouncer'),
    redisUrl: `redis://:${secrets.redis}@127.0.0.1:${redis.port}/0`,
    servers: each(handleOf),
    ports: each(({ port }) => port),
    get pids() {
      return each(({ pid }) => pid)
    },
    reattached,
    stop: async () => await (stopping ??= stop()),
    killNow: () => {
      for (const server of all) server.kill('SIGKILL')
    },
  }
}

function handleOf(server: ServerProcess): ServerHandle {
  return {
    name: server.name,
    port: server.port,
    logFile: server.logFile,
    get pid() {
      return server.pid
    },
    get alive() {
      return server.alive
    },
    kill: async (signal) => server.kill(signal),
    waitGone: async (waitMs) => await server.waitGone(waitMs),
    restart: async () => await server.restart(),
  }
}

// The pooler goes first, so that Postgres has nobody left to wait for.
function inStopOrder(servers: readonly ServerProcess[]): ServerProcess[] {
  const order: readonly ServerName[] = ['pgbouncer', 'redis', 'postgres']
  return servers.toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
}

async function provideBinaries({
  dir,
  runtimeDir = path.join(dir, 'runtime'),
  log = () => undefined,
}: StackOptions): Promise<Binaries> {
  return findBinaries(runtimeDir, dataMajor(dir)).binaries ?? (await fetchBinaries(runtimeDir, log))
}

function prepareFolders(dir: string, account: Account): void {
  if (account.uid !== undefined) chmodSync(dir, 0o755) // mkdtemp makes 0700; what is inside is private by itself
  if (!canEnter(account, dir)) {
    throw new StackError(`the user that runs the servers (uid ${account.uid}) cannot enter ${dir}: use another folder`)
  }
  for (const name of ['pgbouncer', 'redis']) privateFolder(path.join(dir, name), account)
  privateFolder(path.join(dir, 'logs'))
}

function mustFitData(dir: string, binaries: Binaries): void {
  const data = dataMajor(dir)
  if (data === undefined || data === binaries.postgres.major) return
  throw new StackError(
    `the data in ${dir} is of Postgres ${data}, and this machine has ${binaries.postgres.major}: ` +
      `install Postgres ${data}, or remove ${dir} to start with empty servers`,
  )
}

function foldersOf(dir: string, name: ServerName): string[] {
  if (name !== 'postgres' || !existsSync(dir)) return [path.join(dir, name)]
  const drafts = readdirSync(dir).filter((entry) => entry.startsWith('postgres.new-') && !entry.endsWith('.password'))
  return ['postgres', ...drafts].map((entry) => path.join(dir, entry))
}

function postgresUrl(role: string, password: string, port: number, database: string): string {
  return `postgres://${role}:${password}@127.0.0.1:${port}/${database}`
}
