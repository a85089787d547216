import { fileURLToPath } from 'node:url'
import { describeConfig, readExampleValues, runService } from '@hypercode/config'
import { openDatabase } from '@hypercode/db'
import { makeKeys, openRedis } from '@hypercode/events'
import { listenUntilSignal } from '@hypercode/http'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { buildApp } from './app.ts'
import { OrchestratorConfig, readConfig } from './config.ts'

const SERVICE = 'crew-orchestrator'
const EXAMPLE = fileURLToPath(new URL('../../../.env.example', import.meta.url))

/** Connections that are kept for what agents report. */
const URGENT_CONNECTIONS = 3

await runService(async () => {
  const config = readConfig(process.env, readExampleValues(EXAMPLE))
  const logger = createLogger({
    service: SERVICE,
    level: config.LOG_LEVEL,
    secrets: [config.JWT_SECRET, config.DATABASE_URL, config.REDIS_URL],
  })
  logger.info({ config: describeConfig(config, OrchestratorConfig) }, 'starting')
  const onIdleError = (error: Error): void => logger.warn({ err: error }, 'a database connection was lost')
  const database = openDatabase({
    url: config.DATABASE_URL,
    poolMax: config.ORCHESTRATOR_POOL_MAX - URGENT_CONNECTIONS,
    applicationName: SERVICE,
    onIdleError,
  })
  const urgentDatabase = openDatabase({
    url: config.DATABASE_URL,
    poolMax: URGENT_CONNECTIONS,
    applicationName: SERVICE,
    onIdleError,
  })
  const redis = openRedis({
    url: config.REDIS_URL,
    role: 'producer',
    onError: (error) => logger.warn({ err: error }, 'redis'),
  })
  const orchestrator = await buildApp(config, {
    database,
    urgentDatabase,
    redis,
    keys: makeKeys(),
    logger,
    metrics: createMetrics(SERVICE),
  })
  const url = await listenUntilSignal(orchestrator.app, {
    host: config.HOST,
    port: config.ORCHESTRATOR_PORT,
    drainMs: config.DRAIN_MS,
    log: logger,
    onDrain: async () => orchestrator.stop(),
    onClosed: async () => {
      redis.disconnect()
      await Promise.all([database.close(), urgentDatabase.close()])
    },
  })
  logger.info({ url }, 'crew-orchestrator is up')
})
