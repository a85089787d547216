import path from 'node:path'
import type { Account } from './account.ts'
import type { Binaries } from './binaries.ts'
import { programEnv } from './binaries.ts'
import { writeFileAtomic } from './files.ts'
import { APP_ROLE, DATABASE, OWNER_ROLE } from './postgres.ts'
import { queryPostgres } from './postgres-wire.ts'
import type { StackSecrets } from './secrets.ts'
import type { ServerPlan } from './server-plan.ts'
import { fingerprintOf } from './server-plan.ts'

/** The user of PgBouncer's own console (`SHOW POOLS` in the database `pgbouncer`); Postgres does not know it. */
export const PGBOUNCER_ADMIN = 'pgbouncer_admin'

export interface PgbouncerOptions {
  readonly dir: string
  readonly account: Account
  readonly binaries: Binaries
  readonly secrets: StackSecrets
  readonly postgresPort: number
  /** Connections to Postgres for each pair of database and role. */
  readonly poolSize: number
  /** True: any database name is passed on, not only ours. */
  readonly anyDatabase: boolean
}

/** PgBouncer in transaction mode, in front of our Postgres. */
export function pgbouncerPlan(options: PgbouncerOptions): ServerPlan {
  const { dir, account, binaries, secrets } = options
  const home = path.join(dir, 'pgbouncer')
  return {
    name: 'pgbouncer',
    command: binaries.pgbouncer.path,
    env: programEnv(binaries.pgbouncer),
    cwd: home,
    args: () => ['pgbouncer.ini'],
    prepare: (port) => {
      writeFileAtomic(path.join(home, 'userlist.txt'), userlist(secrets), account)
      writeFileAtomic(path.join(home, 'pgbouncer.ini'), configuration(options, port), account)
    },
    // As the services do it, and through to Postgres: a pooler that answers but cannot reach its server is not up.
    probe: async (port) => {
      await queryPostgres({ port, user: APP_ROLE, password: secrets.app, database: DATABASE }, 'select 1')
    },
    stopSignals: [
      { signal: 'SIGINT', waitMs: 3_000 }, // lets running transactions end, in every version
      { signal: 'SIGQUIT', waitMs: 2_000 },
    ],
    fingerprint: (port) => fingerprintOf(configuration(options, port), userlist(secrets)),
  }
}

function userlist(secrets: StackSecrets): string {
  const users = { [OWNER_ROLE]: secrets.owner, [APP_ROLE]: secrets.app, [PGBOUNCER_ADMIN]: secrets.pgbouncerAdmin }
  return Object.entries(users)
    .map(([user, password]) => `"${user}" "${password}"\n`)
    .join('')
}

function configuration({ postgresPort, poolSize, anyDatabase }: PgbouncerOptions, port: number): string {
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: 'userlist.txt', // relative to the working directory, so that the path may hold anything
    admin_users: PGBOUNCER_ADMIN,
    pool_mode: 'transaction',
    default_pool_size: poolSize,
    max_client_conn: 1_000,
    // With the default of 15 s, an outage of Postgres of a moment is one of 15 s for every client.
    server_login_retry: 1,
    server_connect_timeout: 3,
    query_wait_timeout: 5,
    server_idle_timeout: 60,
    server_lifetime: 3_600,
    tcp_keepalive: 1,
    tcp_keepidle: 30,
    tcp_keepintvl: 10,
    tcp_keepcnt: 3,
    ignore_startup_parameters: 'extra_float_digits',
    log_connections: 0,
    log_disconnections: 0,
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  return `[databases]\n${anyDatabase ? '*' : DATABASE} = host=127.0.0.1 port=${postgresPort}\n\n[pgbouncer]\n${lines.join('\n')}\n`
}
