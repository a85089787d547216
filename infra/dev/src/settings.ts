import path from 'node:path'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import {
  ApiKey,
  ConfigError,
  HttpUrl,
  JwtSecret,
  PostgresUrl,
  PrivateKeyPem,
  PublicKeyPem,
  RedisUrl,
  Secret,
  loadConfig,
  readExampleValues,
} from '@hypercode/config'
import { Id } from '@hypercode/contracts'
import type { Env } from './local-env.ts'

const Port = (preferred: number) => Type.Integer({ minimum: 0, maximum: 65_535, default: preferred })

/** What `npm start` reads itself. The services read the rest of the environment, and judge it, on their own. */
export const Settings = Type.Object({
  JWT_SECRET: Type.Optional(JwtSecret()),
  JWT_PRIVATE_KEY: Type.Optional(PrivateKeyPem()),
  JWT_PREVIOUS_PUBLIC_KEY: Type.Optional(PublicKeyPem()),
  BOOTSTRAP_CLIENT_ID: Type.Unsafe<Id>({ ...Id, default: '00000000-0000-7000-8000-000000000001' }),
  BOOTSTRAP_CLIENT_SECRET: Secret(),
  GYM_SECRET: Secret(),
  FACTORY_SECRET: Secret(),
  HYPERCODE_CLIENT_ID: Type.Optional(Id),
  HYPERCODE_CLIENT_SECRET: Type.Optional(Secret()),
  OPENAI_API_KEY: Type.Optional(ApiKey()),
  MODEL_BASE_URL: Type.Optional(HttpUrl()),
  MODEL_NAME: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  DATABASE_URL: Type.Optional(PostgresUrl()),
  DATABASE_DIRECT_URL: Type.Optional(PostgresUrl()),
  REDIS_URL: Type.Optional(RedisUrl()),
  GATEWAY_PORT: Port(7000),
  REGISTRY_PORT: Port(7010),
  ORCHESTRATOR_PORT: Port(7020),
  FACTORY_PORT: Port(7030),
  GYM_PORT: Port(7040),
  DRAIN_MS: Type.Integer({ minimum: 0, maximum: 600_000, default: 10_000 }),
  HYPERCODE_PGBOUNCER_POOL: Type.Integer({ minimum: 1, maximum: 100, default: 20 }),
})
export type Settings = Readonly<Static<typeof Settings>>

/**
 * Judges everything secret before anything is started.
 *
 * @throws {ConfigError} with every problem of every variable, and never a value
 */
export function readSettings(root: string, env: Env): Settings {
  const settings = loadConfig(Settings, env, {
    exactlyOne: [['JWT_SECRET', 'JWT_PRIVATE_KEY']],
    exampleValues: readExampleValues(path.join(root, '.env.example')),
  })
  const pairs = [
    [
      'DATABASE_URL',
      'DATABASE_DIRECT_URL',
      'the services go through PgBouncer, migrations need a connection without it',
    ],
    ['HYPERCODE_CLIENT_ID', 'HYPERCODE_CLIENT_SECRET', 'together they are the API client of the agents'],
  ] as const
  const problems = pairs.flatMap(([first, second, why]) => {
    if ((settings[first] === undefined) === (settings[second] === undefined)) return []
    const [missing, given] = settings[first] === undefined ? [first, second] : [second, first]
    return [{ variable: missing, problem: `is not set, but ${given} is (${why})`, fix: `set both, or neither` }]
  })
  if (problems.length > 0) throw new ConfigError(problems)
  return settings
}
