import { ConfigError } from '@hypercode/config'
import { randomSecret } from '@hypercode/testkit'
import { expect, test } from 'vitest'
import { readConfig } from '../src/config.ts'

const env = {
  DATABASE_URL: `postgres://app:${randomSecret()}@127.0.0.1:6432/hypercode`,
  REDIS_URL: `redis://:${randomSecret()}@127.0.0.1:6379/0`,
  JWT_SECRET: randomSecret(),
}

test('the defaults are those of a lease of three heartbeats', () => {
  expect(readConfig(env)).toMatchObject({
    REGISTRY_PORT: 7010,
    REGISTRY_POOL_MAX: 5,
    AGENT_LEASE_MS: 15_000,
    AGENT_HEARTBEAT_MS: 5000,
    REGISTRY_SWEEP_MS: 1000,
    DEREGISTER_CRITICAL_AFTER_MS: 3_600_000,
    TRUST_PROXY: [],
  })
})

test.each([
  ['a lease shorter than two heartbeats', { AGENT_LEASE_MS: '9000' }, 'AGENT_LEASE_MS'],
  ['two ways to check tokens', { JWT_JWKS_URL: 'http://127.0.0.1:7000/jwks' }, 'JWT_JWKS_URL'],
  ['no way to check tokens', { JWT_SECRET: '' }, 'JWT_SECRET'],
  ['a pool that leaves beats no connection of their own', { REGISTRY_POOL_MAX: '1' }, 'REGISTRY_POOL_MAX'],
])('%s is refused', (_, change, variable) => {
  expect(() => readConfig({ ...env, ...change })).toThrow(ConfigError)
  expect(() => readConfig({ ...env, ...change })).toThrow(variable)
})
