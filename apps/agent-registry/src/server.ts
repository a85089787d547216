#!/usr/bin/env node
import { fileURLToPath } from 'node:url'
import { describeConfig, readExampleValues, runService } from '@hypercode/config'
import { openDatabase } from '@hypercode/db'
import type { DatabaseHandle } from '@hypercode/db'
import { makeKeys, openRedis } from '@hypercode/events'
import { listenUntilSignal } from '@hypercode/http'
import { tokenKeysOf } from '@hypercode/service'
import { createLogger, createMetrics } from '@hypercode/telemetry'
import type { Logger } from '@hypercode/telemetry'
import { buildApp } from './app.ts'
import { RegistryConfig, readConfig } from './config.ts'

const SERVICE = 'agent-registry'
const EXAMPLE = fileURLToPath(new URL('../../../.env.example', import.meta.url))

await runService(async () => {
  const config = readConfig(process.env, readExampleValues(EXAMPLE))
  const log = createLogger({
    service: SERVICE,
    level: config.LOG_LEVEL,
    secrets: [config.JWT_SECRET, new URL(config.DATABASE_URL).password, new URL(config.REDIS_URL).password],
  })
  log.info({ config: describeConfig(config, RegistryConfig) }, 'starting')

  const pools = openPools(config, log)
  const redis = openRedis({
    url: config.REDIS_URL,
    role: 'producer',
    onError: (err) => log.warn({ err }, 'redis connection lost'),
  })
  const registry = await buildApp(
    {
      auth: { issuer: config.JWT_ISSUER, audience: config.JWT_AUDIENCE, keys: tokenKeysOf(config) },
      leaseMs: config.AGENT_LEASE_MS,
      heartbeatMs: config.AGENT_HEARTBEAT_MS,
      sweepMs: config.REGISTRY_SWEEP_MS,
      deregisterAfterMs: config.DEREGISTER_CRITICAL_AFTER_MS,
      trustProxy: config.TRUST_PROXY,
    },
    { db: pools.all.db, beatDb: pools.beats.db, redis, keys: makeKeys(), log, metrics: createMetrics(SERVICE) },
  )
  registry.startLoops()
  const url = await listenUntilSignal(registry.app, {
    host: config.HOST,
    port: config.REGISTRY_PORT,
    drainMs: config.DRAIN_MS,
    log,
    onDrain: async () => await registry.stop(),
    onClosed: async () => {
      redis.disconnect()
      await Promise.all([pools.all.close(), pools.beats.close()])
    },
  })
  log.info({ url }, 'agent-registry is up')
})

/** The connections of the service, in two pools: beats have their own, and never wait behind a search or a registration. */
function openPools(config: RegistryConfig, log: Logger): { all: DatabaseHandle; beats: DatabaseHandle } {
  const beatsMax = Math.min(2, Math.floor(config.REGISTRY_POOL_MAX / 2))
  const open = (name: string, poolMax: number, queryTimeoutMs: number): DatabaseHandle =>
    openDatabase({
      url: config.DATABASE_URL,
      poolMax,
      queryTimeoutMs,
      applicationName: `${SERVICE} ${name}`,
      onIdleError: (err) => log.warn({ err }, 'database connection lost'),
    })
  return {
    all: open('main', config.REGISTRY_POOL_MAX - beatsMax, 6000),
    // All beats wait for the batch in hand, so a connection that went dead must be given up well within a lease.
    beats: open('beats', beatsMax, 3000),
  }
}
