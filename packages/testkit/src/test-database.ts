import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import type { RunServers } from './provided.ts'
import { serverPool } from './server-pool.ts'
import { waitFor } from './wait-for.ts'
import { withDatabase } from './with-database.ts'

export interface TestDatabase {
  readonly name: string
  /** Through PgBouncer in transaction mode, as the role of the services: what a service gets. */
  readonly url: string
  /** Straight to Postgres, as the owner: for migrations and for looking behind the scenes. */
  readonly directUrl: string
}

/** A copy of the migrated template, empty and private. */
export async function cloneDatabase(servers: RunServers): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`
  const pool = serverPool(servers.directUrl)
  await pool.query(`create database ${name} template ${servers.template}${await copyStrategy(pool)}`)
  return { name, url: withDatabase(servers.pooledUrl, name), directUrl: withDatabase(servers.directUrl, name) }
}

/** Ends what is still connected and removes the database. */
export async function dropDatabase(servers: RunServers, name: string): Promise<void> {
  const pool = serverPool(servers.directUrl)
  const backends = 'from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()'
  // Dropping by force looks for ended backends every 100 ms, which is most of the time that a small test takes. A pooler may connect
  // once more in between, so each look ends what it finds.
  await waitFor(async () => (await pool.query(`select pg_terminate_backend(pid) ${backends}`, [name])).rowCount === 0, {
    what: `the connections to ${name} to end`,
    everyMs: 2,
    timeoutMs: 20_000,
  })
  await pool.query(`drop database if exists ${name} with (force)`)
}

// Copying files takes 15 ms where writing every page to the log takes 100; before Postgres 15 there is no other way.
async function copyStrategy(pool: pg.Pool): Promise<string> {
  const { rows } = await pool.query<{ version: number }>(`select current_setting('server_version_num')::int as version`)
  return (rows[0]?.version ?? 0) >= 150_000 ? ' strategy file_copy' : ''
}
