import { Type } from '@sinclair/typebox'
import type { TUnsafe } from '@sinclair/typebox'
import { HttpUrl, JwtSecret, PostgresUrl, RedisUrl } from './kinds.ts'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
type LogLevel = (typeof LOG_LEVELS)[number]
const LogLevel: TUnsafe<LogLevel> = Type.Unsafe(
  Type.Union(
    LOG_LEVELS.map((level) => Type.Literal(level)),
    { default: 'info' },
  ),
)

/** What every service reads, to spread into its own schema. Times in milliseconds. */
export const serviceVariables = {
  HOST: Type.String({ minLength: 1, maxLength: 255, default: '127.0.0.1' }),
  LOG_LEVEL: LogLevel,
  DRAIN_MS: Type.Integer({ minimum: 0, maximum: 600_000, default: 10_000 }),
  TRUST_PROXY: Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { default: [] }),
  JWT_ISSUER: Type.String({ minLength: 1, maxLength: 200, default: 'https://hypercode.local' }),
  JWT_AUDIENCE: Type.String({ minLength: 1, maxLength: 200, default: 'hypercode' }),
  /** Through PgBouncer in transaction mode. */
  DATABASE_URL: PostgresUrl(),
  REDIS_URL: RedisUrl(),
}

/** What a service reads that checks tokens and issues none: exactly one of the two, see `loadConfig`. */
export const verifierVariables = { JWT_SECRET: Type.Optional(JwtSecret()), JWT_JWKS_URL: Type.Optional(HttpUrl()) }

/** A TCP port; 0 takes a free one. */
export const PortVariable = (preset: number) => Type.Integer({ minimum: 0, maximum: 65_535, default: preset })
