import {
  ConfigError,
  HttpUrl,
  PortVariable,
  Secret,
  loadConfig,
  serviceVariables,
  verifierVariables,
} from '@hypercode/config'
import type { Env } from '@hypercode/config'
import { DRIVERS } from '@hypercode/contracts'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'

const Milliseconds = (minimum: number, preset: number) =>
  Type.Integer({ minimum, maximum: 604_800_000, default: preset })
const Folder = Type.String({ pattern: '^/', maxLength: 1000, fix: 'set it to an absolute path' })

export const FactoryConfig = Type.Object({
  ...serviceVariables,
  ...verifierVariables,
  FACTORY_SECRET: Secret(),
  FACTORY_PORT: PortVariable(7030),
  FACTORY_POOL_MAX: Type.Integer({ minimum: 2, maximum: 50, default: 5 }),
  FACTORY_INSTALLATION: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,39}$', default: 'hypercode' }),
  FACTORY_AGENT_URL: HttpUrl({ default: 'http://127.0.0.1:7000' }),
  FACTORY_DRIVERS: Type.Array(Type.Union(DRIVERS.map((name) => Type.Literal(name))), {
    minItems: 1,
    uniqueItems: true,
    default: ['process'],
  }),
  FACTORY_DIR: Type.String({ pattern: '^/', maxLength: 1000, default: '/var/lib/hypercode/factory' }),
  FACTORY_RUN_AS: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
  FACTORY_MODULES_FROM: Type.Array(Folder, { default: [] }),
  FACTORY_ENTRY_ROOTS: Type.Array(Folder, { default: [] }),
  FACTORY_SECRETS_DIR: Type.Optional(Folder),
  FACTORY_ENV_FROM: Type.Array(Type.String({ pattern: '^[A-Z][A-Z0-9_]{0,99}$' }), { default: [] }),
  FACTORY_DOCKER_HOST: Type.String({ pattern: '^(unix|tcp|http)://', default: 'unix:///var/run/docker.sock' }),
  FACTORY_DOCKER_NETWORK: Type.Optional(Type.String({ maxLength: 100 })),
  FACTORY_KUBECONFIG: Type.Optional(Folder),
  FACTORY_KUBE_NAMESPACE: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$', default: 'hypercode' }),
  FACTORY_CPU_MAX: Type.Number({ minimum: 0.05, maximum: 256, default: 4 }),
  FACTORY_MEMORY_MAX_MI: Type.Integer({ minimum: 32, maximum: 1_048_576, default: 4096 }),
  FACTORY_POPULATION_MAX: Type.Integer({ minimum: 1, maximum: 1000, default: 50 }),
  FACTORY_INSTANCES_MAX: Type.Integer({ minimum: 1, maximum: 5000, default: 500 }),
  FACTORY_STARTS_MAX: Type.Integer({ minimum: 1, maximum: 64, default: 4 }),
  FACTORY_TICK_MS: Milliseconds(50, 500),
  FACTORY_LEASE_MS: Milliseconds(1000, 5000),
  FACTORY_SCALE_MS: Milliseconds(50, 1000),
  FACTORY_SCALE_AFTER_MS: Milliseconds(0, 500),
  FACTORY_START_TIMEOUT_MS: Milliseconds(1000, 60_000),
  FACTORY_AGENT_DRAIN_MS: Milliseconds(0, 10_000),
  FACTORY_STOP_GRACE_MS: Milliseconds(100, 25_000),
  FACTORY_ORPHAN_MS: Milliseconds(100, 5000),
  FACTORY_ORPHAN_GRACE_MS: Milliseconds(0, 15_000),
  FACTORY_SILENCE_GRACE_MS: Milliseconds(0, 20_000),
  FACTORY_HOST_LOST_MS: Milliseconds(1000, 60_000),
  FACTORY_LOG_LINES_MAX: Type.Integer({ minimum: 100, maximum: 100_000, default: 5000 }),
  FACTORY_LOG_KEEP_MS: Milliseconds(1000, 86_400_000),
  FACTORY_STOP_AGENTS: Type.Boolean({ default: false }),
  FACTORY_LOG_STREAMS_MAX: Type.Integer({ minimum: 1, maximum: 10_000, default: 200 }),
})
export type FactoryConfig = Readonly<Static<typeof FactoryConfig>>

/** Handlers get as long to end, and the last calls to the platform to be made, after the drain of an agent is over. */
const LAST_WORDS_MS = 10_000

/** Throws one ConfigError that names every bad variable and prints no value. `exampleValues` are those of `.env.example`. */
export function readConfig(env: Env, exampleValues: Env = {}): FactoryConfig {
  const config = loadConfig(FactoryConfig, env, { exactlyOne: [['JWT_SECRET', 'JWT_JWKS_URL']], exampleValues })
  if (config.FACTORY_STOP_GRACE_MS < config.FACTORY_AGENT_DRAIN_MS + LAST_WORDS_MS) {
    throw new ConfigError([
      {
        variable: 'FACTORY_STOP_GRACE_MS',
        problem: 'kills agents that do as they are told',
        fix: `set it to at least ${LAST_WORDS_MS} more than FACTORY_AGENT_DRAIN_MS`,
      },
    ])
  }
  if (config.FACTORY_LEASE_MS < 4 * config.FACTORY_TICK_MS) {
    throw new ConfigError([
      {
        variable: 'FACTORY_LEASE_MS',
        problem: 'is shorter than four ticks, so instances would change hands all the time',
        fix: 'set it to at least four times FACTORY_TICK_MS',
      },
    ])
  }
  return config
}
