import {
  HttpUrl,
  JwtSecret,
  PortVariable,
  PrivateKeyPem,
  PublicKeyPem,
  loadConfig,
  serviceVariables,
} from '@hypercode/config'
import type { Env } from '@hypercode/config'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'

export const GatewayConfig = Type.Object({
  ...serviceVariables,
  GATEWAY_PORT: PortVariable(7000),
  GATEWAY_POOL_MAX: Type.Integer({ minimum: 1, maximum: 100, default: 5 }),

  JWT_SECRET: Type.Optional(JwtSecret()),
  JWT_PRIVATE_KEY: Type.Optional(PrivateKeyPem()),
  JWT_PREVIOUS_PUBLIC_KEY: Type.Optional(PublicKeyPem()),
  TOKEN_TTL_S: Type.Integer({ minimum: 60, maximum: 900, default: 900 }),

  REGISTRY_URL: HttpUrl({ default: 'http://127.0.0.1:7010' }),
  ORCHESTRATOR_URL: HttpUrl({ default: 'http://127.0.0.1:7020' }),
  FACTORY_URL: HttpUrl({ default: 'http://127.0.0.1:7030' }),
  GYM_URL: HttpUrl({ default: 'http://127.0.0.1:7040' }),

  RATE_LIMIT_PER_MINUTE: Type.Integer({ minimum: 1, maximum: 100_000_000, default: 60_000 }),
  RATE_LIMIT_IP_PER_MINUTE: Type.Integer({ minimum: 1, maximum: 100_000_000, default: 6000 }),
  SSE_STREAMS_MAX: Type.Integer({ minimum: 1, maximum: 100_000, default: 1000 }),
})
export type GatewayConfig = Readonly<Static<typeof GatewayConfig>>

/** Throws one ConfigError that names every bad variable and prints no value. `exampleValues` are those of `.env.example`. */
export const readConfig = (env: Env, exampleValues: Env = {}): GatewayConfig =>
  loadConfig(GatewayConfig, env, { exactlyOne: [['JWT_SECRET', 'JWT_PRIVATE_KEY']], exampleValues })
