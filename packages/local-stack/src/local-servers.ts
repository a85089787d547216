import { chmodSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { Account } from './account.ts'
import { canEnter, serverAccount } from './account.ts'
import type { Binaries, ServerName } from './binaries.ts'
import { StackError } from './errors.ts'
import { privateFolder } from './files.ts'
import { stopLeftovers } from './leftovers.ts'
import { pgbouncerPlan } from './pgbouncer.ts'
import { dataMajor, initPostgres, isDraft, postgresPlan } from './postgres.ts'
import { redisPlan } from './redis.ts'
import type { StackSecrets } from './secrets.ts'
import type { ServerPlan } from './server-plan.ts'
import { ServerProcess } from './server-process.ts'
import { readRecords } from './server-records.ts'
import type { RunningServer, RunningServers, StackOptions } from './stack-types.ts'
import { startWatchdog } from './watchdog-process.ts'

/** Starts the three servers as processes, or takes over what an earlier starter left. The caller holds the folder's lock. */
export async function startLocalServers(
  options: StackOptions,
  binaries: Binaries,
  secrets: StackSecrets,
): Promise<RunningServers> {
  const { dir, durable = true, poolSize = 20, anyDatabase = false, ephemeral = false } = options
  const account = serverAccount()
  prepareFolders(dir, account)
  mustFitData(dir, binaries)
  const watchdog = ephemeral ? startWatchdog(dir, options.log) : undefined
  const common = { dir, account, binaries, secrets, durable }
  const bring = new Bringer(options, account)
  const database = async (): Promise<[ServerProcess, ServerProcess]> => {
    const postgres = await bring.up(postgresPlan(common), async () => await initPostgres(common))
    const postgresPort = (await options.beforePostgres?.(postgres.port)) ?? postgres.port
    const plan = pgbouncerPlan({ ...common, postgresPort, poolSize, anyDatabase })
    return [postgres, await bring.up(plan)]
  }
  const [pair, redis] = await Promise.allSettled([database(), bring.up(redisPlan(common))])
  if (pair.status === 'rejected' || redis.status === 'rejected') {
    for (const server of bring.started.toReversed()) await server.stop()
    watchdog?.dismiss()
    throw pair.status === 'rejected' ? pair.reason : redis.status === 'rejected' ? redis.reason : undefined
  }
  const [postgres, pgbouncer] = pair.value
  return {
    servers: {
      postgres: runningServer(postgres),
      pgbouncer: runningServer(pgbouncer),
      redis: runningServer(redis.value),
    },
    reattached: bring.reattached,
    cleanUp: async () => {
      if (ephemeral) rmSync(dir, { recursive: true, force: true })
      watchdog?.dismiss()
    },
  }
}

/** Brings servers up one by one and remembers which. */
class Bringer {
  readonly started: ServerProcess[] = []
  readonly reattached: ServerName[] = []
  readonly #options: StackOptions
  readonly #account: Account

  constructor(options: StackOptions, account: Account) {
    this.#options = options
    this.#account = account
  }

  async up(plan: ServerPlan, init?: () => Promise<void>): Promise<ServerProcess> {
    const { dir, log = () => undefined } = this.#options
    const from = Date.now()
    const server = new ServerProcess(dir, this.#account, plan)
    const adoption = await server.adopt()
    if (adoption !== 'adopted') {
      const recorded = readRecords(dir)[plan.name]?.process
      const found = await stopLeftovers(foldersOf(dir, plan.name), recorded === undefined ? [] : [recorded])
      if (found > 0) log(`stopped the ${plan.name} that an earlier run had left behind (${adoption.refused})`)
      await init?.()
      await server.start()
    }
    this.started.push(server)
    if (adoption === 'adopted') this.reattached.push(plan.name)
    log(
      `${plan.name} ${adoption === 'adopted' ? 'still runs' : 'is up'} on port ${server.port} (${Date.now() - from} ms)`,
    )
    return server
  }
}

function runningServer(server: ServerProcess): RunningServer {
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
    stop: async () => await server.stop(),
    killNow: () => void server.kill('SIGKILL'),
  }
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

// An initdb that outlived its starter works in a draft beside the data.
function foldersOf(dir: string, name: ServerName): string[] {
  const drafts = name === 'postgres' ? readdirSync(dir).filter(isDraft) : []
  return [name, ...drafts].map((entry) => path.join(dir, entry))
}
