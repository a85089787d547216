import { rmSync } from 'node:fs'
import { constants } from 'node:os'
import path from 'node:path'
import { identify, lockFolder } from '@hypercode/local-stack'
import { ConfigError } from '@hypercode/config'
import { HYPERCODE_DIR, ROOT } from './checkout.ts'
import { childEnv } from './child-env.ts'
import { err, step } from './console.ts'
import { writeCredentials } from './credentials.ts'
import { DEV_ENVIRONMENT_FILE, definedOnly } from './dev-environment.ts'
import { choosePorts } from './free-ports.ts'
import { onEnd, untilAborted } from './graceful-end.ts'
import { ensureEnvFile, readLocalEnv } from './local-env.ts'
import type { LocalServers } from './local-servers.ts'
import { startLocalServers } from './local-servers.ts'
import { runMigrations } from './migrations.ts'
import { writePrivateFile } from './private-file.ts'
import { openProcessRecords } from './process-records.ts'
import { urlsOf } from './service-env.ts'
import { readSettings } from './settings.ts'
import { removeState, writeState } from './state-file.ts'

// The `dev` task of this package under `turbo dev`: the servers, migrated, and the environment for the apps, until told to end.
let servers: LocalServers | undefined
const end = onEnd((signal) => {
  servers?.killNow()
  process.exit(128 + constants.signals[signal])
})

try {
  await run()
} catch (error) {
  if (end.cause() === undefined) {
    err(error instanceof Error ? error.message : String(error))
    process.exitCode = error instanceof ConfigError ? error.exitCode : 1
  }
}
process.exit()

async function run(): Promise<void> {
  const made = ensureEnvFile(ROOT, process.env)
  if (made !== undefined) step(made)
  const env = readLocalEnv(ROOT, process.env)
  const settings = readSettings(ROOT, env)
  const dir = path.join(HYPERCODE_DIR, 'platform')
  const lock = await lockFolder(dir, 30_000)
  const broken = new AbortController()
  try {
    await openProcessRecords(dir).stopLeftovers(settings.DRAIN_MS + 5_000)
    rmSync(DEV_ENVIRONMENT_FILE, { force: true })
    const events = {
      log: step,
      restarting: (name: string) => step(`${name} ended by itself and is started again`),
      failed: (error: unknown) => broken.abort(error),
    }
    servers = await startLocalServers(settings, events, end.signal)
    await migrateAndPublish(servers)
    lock.mark('up')
    await untilAborted(AbortSignal.any([end.signal, broken.signal]))
    lock.mark('stopping')
    broken.signal.throwIfAborted()
  } finally {
    rmSync(DEV_ENVIRONMENT_FILE, { force: true })
    removeState()
    await servers?.stop()
    lock.release()
  }

  async function migrateAndPublish({ databaseUrl, databaseDirectUrl, redisUrl, stack }: LocalServers): Promise<void> {
    const urls = { DATABASE_URL: databaseUrl, DATABASE_DIRECT_URL: databaseDirectUrl, REDIS_URL: redisUrl }
    const needed = ['BOOTSTRAP_CLIENT_SECRET', 'DATABASE_URL', 'DATABASE_DIRECT_URL'] as const
    await runMigrations(childEnv(env, needed, urls), end.signal, 'sources')
    const ports = await choosePorts(settings, process.env)
    const owner = identify(process.pid)
    if (owner === undefined) throw new Error('this process cannot be identified')
    writeCredentials({
      bootstrap: { clientId: settings.BOOTSTRAP_CLIENT_ID, clientSecret: settings.BOOTSTRAP_CLIENT_SECRET },
    })
    writePrivateFile(DEV_ENVIRONMENT_FILE, JSON.stringify({ owner, env: definedOnly({ ...env, ...urls }), ports }))
    const pids = Object.entries(stack?.pids ?? {}).filter((entry): entry is [string, number] => entry[1] !== undefined)
    writeState({
      urls: urlsOf(ports),
      ports: { ...ports, ...stack?.ports },
      pids: { starter: process.pid, ...Object.fromEntries(pids) },
      startedAt: new Date().toISOString(),
    })
    step('the servers are up and migrated')
  }
}
