import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { provideBubblewrap } from '@hypercode/local-stack'
import { randomSecret } from '@hypercode/testkit/tools'

/** What gyms need to share their runs: one secret, and one folder that agents can get to; and a sandbox, if there is one to be had. */
export async function gymEnv(
  apiUrl: string,
  runtimeDir: string,
): Promise<{ folder: string; env: Record<string, string> }> {
  const bwrap = await provideBubblewrap(runtimeDir)
  const folder = mkdtempSync(path.join(tmpdir(), 'hypercode-gym-'))
  chmodSync(folder, 0o711)
  return {
    folder,
    env: {
      HYPERCODE_URL: apiUrl,
      GYM_DIR: folder,
      GYM_SECRET: randomSecret(),
      ...(bwrap !== undefined && { SANDBOX_BWRAP: bwrap }),
    },
  }
}
