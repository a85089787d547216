import path from 'node:path'
import { accountOf, canEnter } from '@hypercode/local-stack'
import { ROOT, serverFolders } from './checkout.ts'
import type { Env } from './local-env.ts'

/** What the factory of this checkout is told beside its address: where its agents live, and as whom. */
export function factoryEnv(
  env: Env,
  gatewayUrl: string,
  target: string,
  log: (line: string) => void,
): Record<string, string> {
  return {
    FACTORY_AGENT_URL: gatewayUrl,
    FACTORY_STOP_AGENTS: 'true',
    FACTORY_DIR: path.join(path.dirname(serverFolders().stackDir), 'factory'),
    FACTORY_ENTRY_ROOTS: path.join(ROOT, 'apps'),
    ...runAs(env, target, log),
  }
}

/** Agents of root are `nobody`, unless that keeps them from their own code or from the repository that they have to read. */
function runAs(env: Env, target: string, log: (line: string) => void): Record<string, string> {
  if (process.getuid?.() !== 0 || (env['FACTORY_RUN_AS'] ?? '') !== '') return {}
  const nobody = accountOf('nobody')
  const closed = [ROOT, target].find((folder) => nobody === undefined || !canEnter(nobody, folder))
  if (closed === undefined) return {}
  log(`the agents run as root, because no other account can enter ${closed}`)
  return { FACTORY_RUN_AS: 'root' }
}
