import { ConfigError, HttpUrl, JwtSecret, PostgresUrl, RedisUrl, loadConfig } from '@hypercode/config'
import type { Env } from '@hypercode/config'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'

const Port = Type.Integer({ minimum: 0, maximum: 65_535, default: 7010 })
const Milliseconds = (minimum: number, preset: number) =>
  Type.Integer({ minimum, maximum: 604_800_000, default: preset })

export const RegistryConfig = Type.Object({
  REGISTRY_PORT: Port,
  HOST: Type.String({ minLength: 1, default: '127.0.0.1' }),
  LOG_LEVEL: Type.Union(
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map((level) => Type.Literal(level)),
    { default: 'info' },
  ),
  DRAIN_MS: Milliseconds(0, 10_000),
  TRUST_PROXY: Type.Array(Type.String(), { default: [] }),
  DATABASE_URL: PostgresUrl(), // through PgBouncer, transaction mode
  REGISTRY_POOL_MAX: Type.Integer({ minimum: 2, maximum: 50, default: 5 }),
  REDIS_URL: RedisUrl(),
  JWT_ISSUER: Type.String({ minLength: 1, default: 'https://hypercode.local' }),
  JWT_AUDIENCE: Type.String({ minLength: 1, default: 'hypercode' }),
  JWT_SECRET: Type.Optional(JwtSecret()),
  JWT_JWKS_URL: Type.Optional(HttpUrl()),
  AGENT_LEASE_MS: Milliseconds(300, 15_000),
  AGENT_HEARTBEAT_MS: Milliseconds(100, 5000),
  REGISTRY_SWEEP_MS: Milliseconds(50, 1000),
  DEREGISTER_CRITICAL_AFTER_MS: Milliseconds(1000, 3_600_000),
})
export type RegistryConfig = Readonly<Static<typeof RegistryConfig>>

/** Throws one ConfigError that names every bad variable and prints no value. */
export function readConfig(env: Env): RegistryConfig {
  const config = loadConfig(RegistryConfig, env, { exactlyOne: [['JWT_SECRET', 'JWT_JWKS_URL']] })
  // One beat may be lost or late without the lease running out.
  if (config.AGENT_LEASE_MS < 2 * config.AGENT_HEARTBEAT_MS) {
    throw new ConfigError([
      {
        variable: 'AGENT_LEASE_MS',
        problem: 'is shorter than two heartbeats',
        fix: 'set it to at least twice AGENT_HEARTBEAT_MS; three times is usual',
      },
    ])
  }
  return config
}
