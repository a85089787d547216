import { ConfigError, PortVariable, loadConfig, serviceVariables, verifierVariables } from '@hypercode/config'
import type { Env } from '@hypercode/config'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'

const Milliseconds = (minimum: number, preset: number) =>
  Type.Integer({ minimum, maximum: 604_800_000, default: preset })

export const RegistryConfig = Type.Object({
  ...serviceVariables,
  ...verifierVariables,
  REGISTRY_PORT: PortVariable(7010),
  REGISTRY_POOL_MAX: Type.Integer({ minimum: 2, maximum: 50, default: 5 }),
  AGENT_LEASE_MS: Milliseconds(300, 15_000),
  AGENT_HEARTBEAT_MS: Milliseconds(100, 5000),
  REGISTRY_SWEEP_MS: Milliseconds(50, 1000),
  DEREGISTER_CRITICAL_AFTER_MS: Milliseconds(1000, 3_600_000),
})
export type RegistryConfig = Readonly<Static<typeof RegistryConfig>>

/** Throws one ConfigError that names every bad variable and prints no value. `exampleValues` are those of `.env.example`. */
export function readConfig(env: Env, exampleValues: Env = {}): RegistryConfig {
  const config = loadConfig(RegistryConfig, env, { exactlyOne: [['JWT_SECRET', 'JWT_JWKS_URL']], exampleValues })
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
