import { Kysely, PostgresDialect } from 'kysely'
import { Migrator } from 'kysely/migration'
import type { Migration } from 'kysely/migration'
import pg from 'pg'
import * as foundation from './migrations/0001-foundation.ts'
import * as agentSearch from './migrations/0002-agent-search.ts'
import * as bounds from './migrations/0003-bounds.ts'
import * as factory from './migrations/0004-factory.ts'
import * as gym from './migrations/0005-gym.ts'
import * as usage from './migrations/0006-usage.ts'
import * as policy from './migrations/0007-policy.ts'
import * as queues from './migrations/0008-queues.ts'
import * as waits from './migrations/0009-waits.ts'
import * as crews from './migrations/0010-crews.ts'
import * as schedules from './migrations/0011-schedules.ts'
import * as again from './migrations/0012-again.ts'
import * as operations from './migrations/0013-operations.ts'
import * as verification from './migrations/0014-verification.ts'
import * as compensation from './migrations/0015-compensation.ts'
import * as spawns from './migrations/0016-spawns.ts'
import * as cleanQueues from './migrations/0017-clean-queues.ts'
import * as fewerEntries from './migrations/0018-fewer-entries.ts'
import * as limits from './migrations/0019-limits.ts'
import * as triedAgain from './migrations/0020-again.ts'
import * as lists from './migrations/0021-lists.ts'
import { grantTo } from './roles.ts'
import type { Database } from './schema.ts'

const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-foundation': foundation,
  '0002-agent-search': agentSearch,
  '0003-bounds': bounds,
  '0004-factory': factory,
  '0005-gym': gym,
  '0006-usage': usage,
  '0007-policy': policy,
  '0008-queues': queues,
  '0009-waits': waits,
  '0010-crews': crews,
  '0011-schedules': schedules,
  '0012-again': again,
  '0013-operations': operations,
  '0014-verification': verification,
  '0015-compensation': compensation,
  '0016-spawns': spawns,
  '0017-clean-queues': cleanQueues,
  '0018-fewer-entries': fewerEntries,
  '0019-limits': limits,
  '0020-again': triedAgain,
  '0021-lists': lists,
}

export interface MigrateOptions {
  /** Straight to Postgres: the migration lock is a session lock, which a transaction pooler would break. */
  directUrl: string
  /** Role that the services use; it gets its rights and its time-outs here. Left out when it is the migrating role itself. */
  appRole?: string
}

/** Brings the database up to date and answers the names of the migrations that ran. Throws what a migration threw. */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const pool = new pg.Pool({ connectionString: options.directUrl, max: 1, connectionTimeoutMillis: 10_000 })
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  try {
    const migrator = new Migrator({ db, provider: { getMigrations: async () => MIGRATIONS } })
    const { error, results } = await migrator.migrateToLatest()
    if (error !== undefined) throw error
    if (options.appRole !== undefined) await grantTo(db, options.appRole)
    return (results ?? []).filter((result) => result.status === 'Success').map((result) => result.migrationName)
  } finally {
    await db.destroy()
  }
}

/** Takes back every migration, newest first. Only tests want this. */
export async function migrateDown(directUrl: string): Promise<void> {
  const pool = new pg.Pool({ connectionString: directUrl, max: 1 })
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  try {
    const migrator = new Migrator({ db, provider: { getMigrations: async () => MIGRATIONS } })
    for (const _ of Object.keys(MIGRATIONS)) {
      const { error } = await migrator.migrateDown()
      if (error !== undefined) throw error
    }
  } finally {
    await db.destroy()
  }
}
