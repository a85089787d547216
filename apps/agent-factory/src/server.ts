#!/usr/bin/env node
import { fileURLToPath } from 'node:url'
import { describeConfig, readExampleValues, runService } from '@hypercode/config'
import { openDatabase } from '@hypercode/db'
import { makeKeys, openRedis } from '@hypercode/events'
import { listenUntilSignal } from '@hypercode/http'
import { tokenKeysOf } from '@hypercode/service'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import { buildApp } from './app.ts'
import { FactoryConfig, readConfig } from './config.ts'
import { createDrivers } from './drivers/create-drivers.ts'
import { driversConfig, optionsOf } from './options.ts'

const SERVICE = 'agent-factory'
const EXAMPLE = fileURLToPath(new URL('../../../.env.example', import.meta.url))
/** Modules that are installed beside the factory are resolved from here. */
const HERE = fileURLToPath(new URL('..', import.meta.url))

await runService(async () => {
  const config = readConfig(process.env, readExampleValues(EXAMPLE))
  const log = createLogger({
    service: SERVICE,
    level: config.LOG_LEVEL,
    secrets: [
      config.JWT_SECRET,
      config.FACTORY_SECRET,
      new URL(config.DATABASE_URL).password,
      new URL(config.REDIS_URL).password,
    ],
  })
  log.info({ config: describeConfig(config, FactoryConfig) }, 'starting')

  const database = openDatabase({
    url: config.DATABASE_URL,
    poolMax: config.FACTORY_POOL_MAX,
    applicationName: SERVICE,
    onIdleError: (err) => log.warn({ err }, 'database connection lost'),
  })
  const redis = openRedis({
    url: config.REDIS_URL,
    role: 'producer',
    onError: (err) => log.warn({ err }, 'redis connection lost'),
  })
  const drivers = await createDrivers(driversConfig(config, HERE))
  const handedOn = Object.fromEntries(
    config.FACTORY_ENV_FROM.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  )
  const factory = await buildApp(optionsOf(config, { keys: tokenKeysOf(config), drivers, handedOn }), {
    db: database.db,
    redis,
    keys: makeKeys(),
    drivers,
    log,
    metrics: createMetrics(SERVICE),
  })
  factory.startLoops()
  const url = await listenUntilSignal(factory.app, {
    host: config.HOST,
    port: config.FACTORY_PORT,
    drainMs: config.DRAIN_MS,
    log,
    onDrain: async () => await factory.stop(),
    onClosed: async () => {
      redis.disconnect()
      await Promise.all([...drivers.values()].map(async (driver) => await driver.close()))
      await database.close()
    },
  })
  log.info({ url, drivers: [...drivers.keys()] }, 'agent-factory is up')
})
