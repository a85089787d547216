import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { randomSecret } from '@hypercode/testkit/tools'

const NOBODY = { uid: 65_534, gid: 65_534 }

/** What a factory needs to run the agents of this checkout as processes, in a folder of its own. They end with it. */
export function factoryEnv(root: string, agentUrl: string): { folder: string; env: Record<string, string> } {
  const folder = mkdtempSync(path.join(tmpdir(), 'hypercode-factory-'))
  chmodSync(folder, 0o755)
  return {
    folder,
    env: {
      FACTORY_SECRET: randomSecret(),
      FACTORY_AGENT_URL: agentUrl,
      FACTORY_DIR: folder,
      FACTORY_ENTRY_ROOTS: [path.join(root, 'apps'), path.join(root, 'packages/e2e/agents')].join(','),
      FACTORY_MODULES_FROM: ['auditor-agent', 'coder-agent'].map((app) => path.join(root, 'apps', app)).join(','),
      FACTORY_STOP_AGENTS: 'true',
      ...(mustRunAsRoot(root) && { FACTORY_RUN_AS: 'root' }),
    },
  }
}

/** A checkout in a folder that only root may enter cannot be run by anybody else. */
function mustRunAsRoot(root: string): boolean {
  if (process.getuid?.() !== 0) return false
  const needed = [path.join(root, 'package.json'), process.execPath]
  return needed.some((file) => spawnSync('/usr/bin/test', ['-r', file], NOBODY).status !== 0)
}
