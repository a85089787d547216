import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { randomSecret } from '@hypercode/testkit/tools'

/** What gyms need to share their runs: one secret, and one folder that agents can get to. */
export function gymEnv(apiUrl: string): { folder: string; env: Record<string, string> } {
  const folder = mkdtempSync(path.join(tmpdir(), 'hypercode-gym-'))
  chmodSync(folder, 0o711)
  return { folder, env: { HYPERCODE_URL: apiUrl, GYM_DIR: folder, GYM_SECRET: randomSecret() } }
}
