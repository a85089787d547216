#!/usr/bin/env node
/**
 * `hypercode-migrate`: brings the database up to date, gives the services' role its rights, and makes the bootstrap client. Runs before
 * a release, never inside a service. Prints one JSON line per step; exits 78 on bad configuration and 1 on failure.
 */
import { loadConfig, runService } from '@hypercode/config'
import { MigrateConfig } from './migrate-config.ts'
import { bootstrap } from './bootstrap.ts'
import { migrate } from './migrate.ts'
import { openDatabase } from './open-database.ts'

const say = (step: string, detail: object): void => {
  process.stdout.write(
    `${JSON.stringify({ ts: new Date().toISOString(), level: 'info', service: 'migrate', step, ...detail })}\n`,
  )
}

await runService(async () => {
  const config = loadConfig(MigrateConfig, process.env)
  const appRole = decodeURIComponent(new URL(config.DATABASE_URL).username)
  const ran = await migrate({ directUrl: config.DATABASE_DIRECT_URL, appRole })
  say('migrated', { ran })
  const handle = openDatabase({
    url: config.DATABASE_DIRECT_URL,
    poolMax: 1,
    applicationName: 'hypercode-migrate',
    onIdleError: (error) => say('connection lost', { error: error.message }),
  })
  try {
    const client = await bootstrap(handle.db, {
      id: config.BOOTSTRAP_CLIENT_ID,
      secret: config.BOOTSTRAP_CLIENT_SECRET,
    })
    say('bootstrap client', { id: config.BOOTSTRAP_CLIENT_ID, client })
  } finally {
    await handle.close()
  }
})
