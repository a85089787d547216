import { HttpUrl, JwtSecret, PostgresUrl, PrivateKeyPem, PublicKeyPem, RedisUrl, loadConfig } from '@hypercode/config'
import type { Env } from '@hypercode/config'
import { StringEnum } from '@hypercode/contracts'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'

const Port = (value: number) => Type.Integer({ minimum: 0, maximum: 65_535, default: value })

export const GatewayConfig = Type.Object({
  HOST: Type.String({ minLength: 1, maxLength: 255, default: '127.0.0.1' }),
  GATEWAY_PORT: Port(7000),
  LOG_LEVEL: Type.Unsafe<'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'>({
    ...StringEnum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    default: 'info',
  }),
  DRAIN_MS: Type.Integer({ minimum: 0, maximum: 600_000, default: 10_000 }),
  TRUST_PROXY: Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { default: [] }),

  JWT_SECRET: Type.Optional(JwtSecret()),
  JWT_PRIVATE_KEY: Type.Optional(PrivateKeyPem()),
  JWT_PREVIOUS_PUBLIC_KEY: Type.Optional(PublicKeyPem()),
  JWT_ISSUER: Type.String({ minLength: 1, maxLength: 200, default: 'https://hypercode.local' }),
  JWT_AUDIENCE: Type.String({ minLength: 1, maxLength: 200, default: 'hypercode' }),
  TOKEN_TTL_S: Type.Integer({ minimum: 60, maximum: 900, default: 900 }),

  DATABASE_URL: PostgresUrl(),
  GATEWAY_POOL_MAX: Type.Integer({ minimum: 1, maximum: 100, default: 5 }),
  REDIS_URL: RedisUrl(),
  REGISTRY_URL: HttpUrl({ default: 'http://127.0.0.1:7010' }),
  ORCHESTRATOR_URL: HttpUrl({ default: 'http://127.0.0.1:7020' }),

  RATE_LIMIT_PER_MINUTE: Type.Integer({ minimum: 1, maximum: 100_000_000, default: 60_000 }),
  RATE_LIMIT_IP_PER_MINUTE: Type.Integer({ minimum: 1, maximum: 100_000_000, default: 6000 }),
  SSE_STREAMS_MAX: Type.Integer({ minimum: 1, maximum: 100_000, default: 1000 }),
})
export type GatewayConfig = Readonly<Static<typeof GatewayConfig>>

/** Throws one ConfigError that names every bad variable and prints no value. `exampleValues` are those of `.env.example`. */
export const readConfig = (env: Env, exampleValues: Env = {}): GatewayConfig =>
  loadConfig(GatewayConfig, env, { exactlyOne: [['JWT_SECRET', 'JWT_PRIVATE_KEY']], exampleValues })
