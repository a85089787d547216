import {
  ApiKey,
  HttpUrl,
  PortVariable,
  Secret,
  loadConfig,
  serviceVariables,
  verifierVariables,
} from '@hypercode/config'
import type { Env } from '@hypercode/config'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'

const Milliseconds = (minimum: number, preset: number) =>
  Type.Integer({ minimum, maximum: 86_400_000, default: preset })

export const GymConfig = Type.Object({
  ...serviceVariables,
  ...verifierVariables,
  GYM_PORT: PortVariable(7040),
  GYM_POOL_MAX: Type.Integer({ minimum: 1, maximum: 50, default: 5 }),
  /** From which the secret of the gym's own client in each tenant is derived. */
  GYM_SECRET: Secret(),
  HYPERCODE_URL: HttpUrl({ default: 'http://127.0.0.1:7000' }),
  GYM_DIR: Type.String({ pattern: '^/', maxLength: 500, default: '/var/lib/hypercode/gym' }),
  GYM_RUNS_MAX: Type.Integer({ minimum: 1, maximum: 100, default: 4 }),
  GYM_SAMPLES_MAX: Type.Integer({ minimum: 1, maximum: 100_000, default: 10_000 }),
  GYM_SAMPLE_TRIES: Type.Integer({ minimum: 1, maximum: 20, default: 3 }),
  GYM_SAMPLE_TIME_MS: Milliseconds(1000, 600_000),
  GYM_READY_MS: Milliseconds(1000, 60_000),
  GYM_LEASE_MS: Milliseconds(500, 15_000),
  GYM_POLL_MS: Milliseconds(50, 500),
  GYM_LIVE_MS: Milliseconds(100, 5000),
  GYM_SCORER_MODULES: Type.Array(Type.String({ pattern: '^/', maxLength: 1000 }), { default: [] }),
  SANDBOX_BWRAP: Type.Optional(Type.String({ minLength: 1 })),
  MODEL_BASE_URL: Type.Optional(HttpUrl()),
  MODEL_NAME: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  OPENAI_API_KEY: Type.Optional(ApiKey()),
})
export type GymConfig = Readonly<Static<typeof GymConfig>>

/** Throws one ConfigError that names every bad variable and prints no value. `exampleValues` are those of `.env.example`. */
export const readConfig = (env: Env, exampleValues: Env = {}): GymConfig =>
  loadConfig(GymConfig, env, { exactlyOne: [['JWT_SECRET', 'JWT_JWKS_URL']], exampleValues })
