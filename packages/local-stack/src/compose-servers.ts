import { createHash } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import type { ServerName } from './binaries.ts'
import { StackError, messageOf } from './errors.ts'
import { toolEnvironment } from './environment.ts'
import { pickPort } from './free-port.ts'
import { PGBOUNCER_ADMIN } from './pgbouncer.ts'
import { queryPostgres } from './postgres-wire.ts'
import { APP_ROLE, DATABASE, OWNER_ROLE } from './postgres.ts'
import { pingRedis } from './redis-wire.ts'
import { runTool } from './run-tool.ts'
import type { StackSecrets } from './secrets.ts'
import { readRecords, writeRecord } from './server-records.ts'
import type { RunningServer, RunningServers, StackOptions } from './stack-types.ts'

const NAMES = ['postgres', 'pgbouncer', 'redis'] as const
const READY_MS = 60_000

/**
 * Starts the three servers as containers of the folder's own compose project. `up` leaves what already runs alone, so
 * starting after a crash attaches to it. Data lives in volumes of the project. The caller holds the folder's lock.
 */
export async function startComposeServers(
  options: StackOptions,
  composeFile: string,
  secrets: StackSecrets,
): Promise<RunningServers> {
  const { dir, ephemeral = false, log = () => undefined } = options
  const ports = await choosePorts(dir)
  const compose = composeRunner(dir, composeFile, environmentOf(options, secrets, ports))
  log('starting Postgres, PgBouncer and Redis as containers')
  const probes = probesOf(ports, secrets)
  try {
    await compose('up', '--detach', '--wait', '--wait-timeout', String(READY_MS / 1_000), 'postgres', 'redis')
    await untilWorks('postgres', async () => await makeAppRole(ports.postgres, secrets))
    await compose('up', '--detach', 'pgbouncer')
    await Promise.all(NAMES.map(async (name) => await untilWorks(name, probes[name])))
  } catch (error) {
    compose.now('down')
    throw error
  }
  for (const name of NAMES) writeRecord(dir, name, { port: ports[name], process: undefined, fingerprint: '' })
  const server = (name: ServerName): RunningServer => runningContainer(name, ports[name], compose, probes[name])
  return {
    servers: { postgres: server('postgres'), pgbouncer: server('pgbouncer'), redis: server('redis') },
    reattached: [],
    cleanUp: async () => {
      await compose('down', ...(ephemeral ? ['--volumes'] : []))
    },
  }
}

type Compose = ((...args: string[]) => Promise<string>) & { readonly now: (...args: string[]) => string }

function composeRunner(dir: string, composeFile: string, env: Readonly<Record<string, string>>): Compose {
  const project = `hypercode-${createHash('sha256').update(realpathSync(dir)).digest('hex').slice(0, 12)}`
  const prefix = ['compose', '--project-name', project, '--file', composeFile]
  const later = async (...args: string[]): Promise<string> => await runTool('docker', [...prefix, ...args], { env })
  const now = (...args: string[]): string =>
    spawnSync('docker', [...prefix, ...args], { env: toolEnvironment(env), encoding: 'utf8', timeout: 30_000 })
      .stdout ?? ''
  return Object.assign(later, { now })
}

function environmentOf(
  options: StackOptions,
  secrets: StackSecrets,
  ports: Record<ServerName, number>,
): Record<string, string> {
  const { durable = true, poolSize = 20, anyDatabase = false } = options
  return {
    HYPERCODE_POSTGRES_PORT: String(ports.postgres),
    HYPERCODE_PGBOUNCER_PORT: String(ports.pgbouncer),
    HYPERCODE_REDIS_PORT: String(ports.redis),
    HYPERCODE_OWNER_PASSWORD: secrets.owner,
    HYPERCODE_APP_PASSWORD: secrets.app,
    HYPERCODE_REDIS_PASSWORD: secrets.redis,
    HYPERCODE_PGBOUNCER_ADMIN: PGBOUNCER_ADMIN,
    HYPERCODE_PGBOUNCER_ADMIN_PASSWORD: secrets.pgbouncerAdmin,
    HYPERCODE_PGBOUNCER_POOL: String(poolSize),
    HYPERCODE_PGBOUNCER_DATABASES: anyDatabase ? '*' : DATABASE,
    HYPERCODE_FSYNC: durable ? 'on' : 'off',
    HYPERCODE_APPENDFSYNC: durable ? 'everysec' : 'no',
  }
}

function probesOf(
  ports: Record<ServerName, number>,
  secrets: StackSecrets,
): Record<ServerName, () => Promise<unknown>> {
  const app = { port: ports.pgbouncer, user: APP_ROLE, password: secrets.app, database: DATABASE }
  return {
    postgres: async () => await queryPostgres(ownerLogin(ports.postgres, secrets), 'select 1'),
    pgbouncer: async () => await queryPostgres(app, 'select 1'),
    redis: async () => await pingRedis(ports.redis, secrets.redis),
  }
}

async function choosePorts(dir: string): Promise<Record<ServerName, number>> {
  const records = readRecords(dir)
  // A port that is taken may be taken by our own container of an earlier start: then it must stay the same.
  const choose = async (name: ServerName): Promise<number> => records[name]?.port ?? (await pickPort())
  return { postgres: await choose('postgres'), pgbouncer: await choose('pgbouncer'), redis: await choose('redis') }
}

async function makeAppRole(port: number, secrets: StackSecrets): Promise<void> {
  const found = await queryPostgres(ownerLogin(port, secrets), `select 1 from pg_roles where rolname = '${APP_ROLE}'`)
  if (found.length > 0) return
  await queryPostgres(ownerLogin(port, secrets), `create role ${APP_ROLE} login password '${secrets.app}'`)
}

function ownerLogin(
  port: number,
  secrets: StackSecrets,
): { port: number; user: string; password: string; database: string } {
  return { port, user: OWNER_ROLE, password: secrets.owner, database: DATABASE }
}

async function untilWorks(name: ServerName, attempt: () => Promise<unknown>): Promise<void> {
  const deadline = Date.now() + READY_MS
  for (;;) {
    try {
      await attempt()
      return
    } catch (error) {
      if (Date.now() >= deadline) throw new StackError(`the container ${name} does not answer: ${messageOf(error)}`)
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

function runningContainer(
  name: ServerName,
  port: number,
  compose: Compose,
  probe: () => Promise<unknown>,
): RunningServer {
  const alive = (): boolean => compose.now('ps', '--status', 'running', '--services').split('\n').includes(name)
  return {
    name,
    port,
    pid: undefined,
    logFile: undefined,
    get alive() {
      return alive()
    },
    kill: async (signal) => {
      if (!alive()) return false
      await compose('kill', '--signal', signal, name)
      return true
    },
    waitGone: async (waitMs) => {
      const deadline = Date.now() + waitMs
      while (alive()) {
        if (Date.now() >= deadline) return false
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      return true
    },
    restart: async () => {
      await compose('restart', name)
      await untilWorks(name, probe)
    },
    stop: async () => {
      await compose('stop', name)
    },
    killNow: () => void compose.now('kill', name),
  }
}
