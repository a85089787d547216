import path from 'node:path'
import { findBubblewrap } from '@hypercode/local-stack'
import { serverFolders } from './checkout.ts'
import { factoryEnv } from './factory-env.ts'
import type { FactoryPlace } from './factory-env.ts'
import type { Env } from './local-env.ts'
import type { ServiceApp } from './service-env.ts'

/**
 * What one service of this checkout is told that the others are not: where its files are, which on other machines lie in folders that only
 * an installation can make, and what confines the commands of agents and suites.
 */
export function ownEnv(app: ServiceApp, env: Env, place: Omit<FactoryPlace, 'bubblewrap'>): Record<string, string> {
  const { runtimeDir, stackDir } = serverFolders()
  const bubblewrap = env['SANDBOX_BWRAP'] ?? findBubblewrap(runtimeDir)
  if (app === 'agent-factory') return factoryEnv(env, { ...place, bubblewrap })
  if (app !== 'turing-gym') return {}
  return {
    GYM_DIR: path.join(path.dirname(stackDir), 'gym'),
    ...(bubblewrap !== undefined && { SANDBOX_BWRAP: bubblewrap }),
  }
}
