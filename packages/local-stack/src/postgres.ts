import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Account } from './account.ts'
import { giveTo } from './account.ts'
import type { Binaries } from './binaries.ts'
import { programEnv } from './binaries.ts'
import { StackError } from './errors.ts'
import { privateFolder } from './files.ts'
import { queryPostgres } from './postgres-wire.ts'
import type { StackSecrets } from './secrets.ts'
import type { ServerPlan } from './server-plan.ts'
import { fingerprintOf } from './server-plan.ts'

/** Superuser and owner of everything; only migrations log in as it. */
export const OWNER_ROLE = 'hypercode_owner'
/** What the services log in as, through PgBouncer. */
export const APP_ROLE = 'hypercode_app'
export const DATABASE = 'hypercode'

export interface PostgresOptions {
  readonly dir: string
  readonly account: Account
  readonly binaries: Binaries
  readonly secrets: StackSecrets
  /** False: a crash of the machine may lose data, for speed in tests. */
  readonly durable: boolean
}

/** Postgres on 127.0.0.1, tuned for a small machine that it shares with everything else. */
export function postgresPlan({ dir, binaries, secrets, durable }: PostgresOptions): ServerPlan {
  const data = dataFolder(dir)
  const settings = Object.entries({ ...COMMON, ...(durable ? DURABLE : FORGETFUL) })
  const args = (port: number): string[] => [
    '-D',
    data,
    '-p',
    String(port),
    ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
  return {
    name: 'postgres',
    command: binaries.postgres.path,
    env: programEnv(binaries.postgres),
    cwd: data,
    args,
    // The caller has made sure that no server runs on these files. In a container process ids are soon used again, and
    // Postgres would take any other process with the old number for a running server.
    prepare: () => rmSync(path.join(data, 'postmaster.pid'), { force: true }),
    probe: async (port) => {
      await queryPostgres({ port, user: OWNER_ROLE, password: secrets.owner, database: DATABASE }, 'select 1')
    },
    stopSignals: [
      { signal: 'SIGINT', waitMs: 10_000 }, // fast shutdown: roll back, disconnect, checkpoint
      { signal: 'SIGQUIT', waitMs: 3_000 }, // immediate: recovers from the log at the next start
    ],
    fingerprint: (port) => fingerprintOf(binaries.postgres.major, args(port)),
  }
}

/** The major version of the data in `dir`; undefined when there is none yet. */
export function dataMajor(dir: string): number | undefined {
  const file = path.join(dataFolder(dir), 'PG_VERSION')
  return existsSync(file) ? Number(readFileSync(file, 'utf8').trim()) : undefined
}

const DRAFT = 'postgres.new-'

/** Whether a folder beside the data is one that `initPostgres` was making when it was killed. */
export function isDraft(name: string): boolean {
  return name.startsWith(DRAFT) && !name.endsWith('.password')
}

/**
 * Makes the data of a new Postgres: roles, passwords and the database. It is made in a folder aside and renamed when it
 * is complete, so that being killed in the middle leaves nothing half made. Does nothing when the data is there.
 */
export async function initPostgres({ dir, account, binaries, secrets }: PostgresOptions): Promise<void> {
  const data = dataFolder(dir)
  if (existsSync(path.join(data, 'PG_VERSION'))) return
  for (const old of readdirSync(dir).filter((name) => name.startsWith(DRAFT))) {
    rmSync(path.join(dir, old), { recursive: true, force: true })
  }
  const draft = path.join(dir, `${DRAFT}${randomBytes(4).toString('hex')}`)
  const passwordFile = `${draft}.password`
  privateFolder(draft, account)
  writeFileSync(passwordFile, secrets.owner, { mode: 0o600 })
  giveTo(account, passwordFile)
  try {
    const flags = [
      '-D',
      draft,
      '-U',
      OWNER_ROLE,
      '-A',
      'scram-sha-256',
      `--pwfile=${passwordFile}`,
      '-E',
      'UTF8',
      '--no-sync',
    ]
    const run = { account, cwd: draft, env: programEnv(binaries.initdb) }
    await runServerTool(
      binaries.initdb.path,
      [...flags, `--locale=${process.platform === 'darwin' ? 'C' : 'C.UTF-8'}`],
      '',
      run,
    )
    // Single-user mode reads commands from its input: no port, no password on a command line, no client needed.
    const single = ['--single', '-j', '-D', draft, '-c', 'fsync=off', '-c', 'jit=off', 'postgres']
    await runServerTool(binaries.postgres.path, single, firstCommands(secrets), run)
    rmSync(data, { recursive: true, force: true })
    renameSync(draft, data)
  } finally {
    rmSync(passwordFile, { force: true })
    rmSync(draft, { recursive: true, force: true })
  }
}

/** What a new server needs, as commands that end with a semicolon and an empty line. */
export function firstCommands(secrets: StackSecrets): string {
  return [
    `create role ${APP_ROLE} login nosuperuser nocreatedb nocreaterole noreplication password '${secrets.app}'`,
    `create database ${DATABASE} owner ${OWNER_ROLE}`,
  ]
    .map((command) => `${command};\n\n`)
    .join('')
}

const COMMON = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '', // the path of a socket may be at most 107 bytes long, that of a checkout may not
  max_connections: '120',
  jit: 'off', // needs LLVM, and costs more than it gives for short queries
  shared_buffers: '128MB',
  effective_cache_size: '512MB',
  work_mem: '8MB',
  maintenance_work_mem: '64MB',
  random_page_cost: '1.1',
  max_wal_size: '1GB',
  min_wal_size: '80MB',
  checkpoint_timeout: '15min',
  wal_compression: 'on',
  wal_level: 'minimal',
  max_wal_senders: '0',
  // Queue-like tables are updated all the time and must not wait a minute for their vacuum.
  autovacuum_naptime: '10s',
  autovacuum_vacuum_scale_factor: '0.05',
  autovacuum_vacuum_cost_limit: '1000',
  tcp_keepalives_idle: '30',
  tcp_keepalives_interval: '10',
  tcp_keepalives_count: '3',
  log_checkpoints: 'off',
} as const
const DURABLE = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' } as const
// Commits are still handed to the kernel one by one: a server that is killed loses nothing, only a machine that dies does.
const FORGETFUL = { fsync: 'off', synchronous_commit: 'on', full_page_writes: 'off' } as const

function dataFolder(dir: string): string {
  return path.join(dir, 'postgres')
}

interface ToolRun {
  readonly account: Account
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
}

async function runServerTool(
  program: string,
  args: string[],
  input: string,
  { account, cwd, env }: ToolRun,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const child = spawn(program, args, { ...account, cwd, env, stdio: ['pipe', 'ignore', 'pipe'], timeout: 120_000 })
    let complaints = ''
    child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()))
    child.stdin.on('error', (error) => (complaints += error.message))
    child.stdin.end(input)
    child.once('error', reject)
    child.once('close', (code, signal) => {
      // Single-user mode reports a failed command and still ends with 0.
      if (code === 0 && !/^(.*\s)?(ERROR|FATAL|PANIC):/m.test(complaints)) return resolve()
      const lines = complaints.trim().split('\n').slice(-5).join('\n')
      reject(new StackError(`${path.basename(program)} failed (${code ?? signal}):\n${lines}`))
    })
  })
}
