#!/usr/bin/env node
import { fileURLToPath } from 'node:url'
import { describeConfig, readExampleValues, runService } from '@hypercode/config'
import { openDatabase } from '@hypercode/db'
import { makeKeys, openRedis } from '@hypercode/events'
import { listenUntilSignal } from '@hypercode/http'
import { findSandbox } from '@hypercode/sandbox'
import { tokenKeysOf } from '@hypercode/service'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { buildApp } from './app.ts'
import { GymConfig, readConfig } from './config.ts'
import { loadScorerModules } from './scoring/index.ts'
import type { ModelEndpoint } from './scoring/index.ts'
import { openBaseFolder } from './workspace/base-folder.ts'

const SERVICE = 'turing-gym'
const EXAMPLE = fileURLToPath(new URL('../../../.env.example', import.meta.url))

await runService(async () => {
  const config = readConfig(process.env, readExampleValues(EXAMPLE))
  const log = createLogger({ service: SERVICE, level: config.LOG_LEVEL, secrets: secretsOf(config) })
  log.info({ config: describeConfig(config, GymConfig) }, 'starting')

  const [folder, sandbox, modules] = await Promise.all([
    openBaseFolder(config.GYM_DIR),
    findSandbox(config.SANDBOX_BWRAP === undefined ? {} : { path: config.SANDBOX_BWRAP }),
    loadScorerModules(config.GYM_SCORER_MODULES),
  ])
  if (sandbox === undefined) log.warn('no sandbox on this machine: suites that run commands are refused')
  const database = openDatabase({
    url: config.DATABASE_URL,
    poolMax: config.GYM_POOL_MAX,
    queryTimeoutMs: 6000,
    applicationName: SERVICE,
    onIdleError: (err) => log.warn({ err }, 'database connection lost'),
  })
  const redis = openRedis({
    url: config.REDIS_URL,
    role: 'producer',
    onError: (err) => log.warn({ err }, 'redis connection lost'),
  })
  const gym = await buildApp(
    {
      auth: { issuer: config.JWT_ISSUER, audience: config.JWT_AUDIENCE, keys: tokenKeysOf(config) },
      apiUrl: config.HYPERCODE_URL,
      secret: config.GYM_SECRET,
      engine: {
        folder,
        runsMax: config.GYM_RUNS_MAX,
        sampleTries: config.GYM_SAMPLE_TRIES,
        sampleTimeMs: config.GYM_SAMPLE_TIME_MS,
        readyMs: config.GYM_READY_MS,
        leaseMs: config.GYM_LEASE_MS,
      },
      samplesMax: config.GYM_SAMPLES_MAX,
      pollMs: config.GYM_POLL_MS,
      liveMs: config.GYM_LIVE_MS,
      trustProxy: config.TRUST_PROXY,
    },
    {
      db: database.db,
      redis,
      keys: makeKeys(),
      log,
      metrics: createMetrics(SERVICE),
      sandbox,
      modules,
      model: modelOf(config),
    },
  )
  gym.startLoops()
  const url = await listenUntilSignal(gym.app, {
    host: config.HOST,
    port: config.GYM_PORT,
    drainMs: config.DRAIN_MS,
    log,
    onDrain: async () => await gym.stop(),
    onClosed: async () => {
      redis.disconnect()
      await database.close()
    },
  })
  log.info({ url }, 'turing-gym is up')
})

function secretsOf(config: GymConfig): (string | undefined)[] {
  const { JWT_SECRET, GYM_SECRET, OPENAI_API_KEY, DATABASE_URL, REDIS_URL } = config
  return [JWT_SECRET, GYM_SECRET, OPENAI_API_KEY, new URL(DATABASE_URL).password, new URL(REDIS_URL).password]
}

/** The model that judges; none unless both its address and its name are there. */
function modelOf({ MODEL_BASE_URL, MODEL_NAME, OPENAI_API_KEY }: GymConfig): ModelEndpoint | undefined {
  if (MODEL_BASE_URL === undefined || MODEL_NAME === undefined) return undefined
  return { baseUrl: MODEL_BASE_URL, model: MODEL_NAME, ...(OPENAI_API_KEY !== undefined && { apiKey: OPENAI_API_KEY }) }
}
