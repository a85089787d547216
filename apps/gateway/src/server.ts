import { fileURLToPath } from 'node:url'
import { describeConfig, readExampleValues, runService } from '@hypercode/config'
import { openDatabase } from '@hypercode/db'
import { makeKeys, openRedis } from '@hypercode/events'
import { listenUntilSignal } from '@hypercode/http'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { buildApp } from './app.ts'
import { GatewayConfig, readConfig } from './config.ts'

const EXAMPLE = fileURLToPath(new URL('../../../.env.example', import.meta.url))

await runService(async () => {
  const config = readConfig(process.env, readExampleValues(EXAMPLE))
  const secrets = [config.JWT_SECRET, config.JWT_PRIVATE_KEY, config.DATABASE_URL, config.REDIS_URL]
  const log = createLogger({ service: 'gateway', level: config.LOG_LEVEL, secrets })
  log.info({ config: describeConfig(config, GatewayConfig) }, 'starting')
  const database = openDatabase({
    url: config.DATABASE_URL,
    poolMax: config.GATEWAY_POOL_MAX,
    applicationName: 'gateway',
    onIdleError: (err) => log.warn({ err }, 'a database connection was lost'),
  })
  const redis = openRedis({
    url: config.REDIS_URL,
    role: 'producer',
    onError: (err) => log.debug({ err }, 'Redis connection failed'),
  })
  const app = await buildApp(config, {
    log,
    metrics: createMetrics('gateway'),
    database,
    redis,
    keys: makeKeys(),
  })
  const url = await listenUntilSignal(app, {
    host: config.HOST,
    port: config.GATEWAY_PORT,
    drainMs: config.DRAIN_MS,
    log,
    onClosed: async () => {
      redis.disconnect()
      await database.close()
    },
  })
  log.info({ url }, 'gateway is up')
})
