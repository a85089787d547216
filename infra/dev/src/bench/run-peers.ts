import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { ROOT } from '../checkout.ts'

const FOLDER = path.join(ROOT, 'infra/bench')

export interface PeersRun {
  /** As they are typed after `npm run bench:peers --`. */
  readonly args: readonly string[]
  /** False: what it prints on stdout goes to stderr, for a caller whose own stdout is for one line. */
  readonly ownsStdout: boolean
  readonly signal?: AbortSignal
}

/** Runs the benchmark against peers in a process of its own, which installs its packages first, and answers its exit code. */
export async function runPeers({ args, ownsStdout, signal }: PeersRun): Promise<number> {
  installPeers()
  const main = path.join(FOLDER, 'src/main.ts')
  return await new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--conditions=@hypercode/source', main, ...args], {
      cwd: process.env['INIT_CWD'] ?? ROOT,
      // By the channel it notices when we are killed.
      stdio: ['ignore', ownsStdout ? 'inherit' : 2, 'inherit', 'ipc'],
      detached: true,
    })
    signal?.addEventListener('abort', () => child.kill('SIGTERM'), { once: true })
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

/** What the peers' own lockfile says; a fraction of a second when it is all there. */
function installPeers(): void {
  if (!existsSync(path.join(FOLDER, 'node_modules'))) process.stderr.write('installing the peers (once, 300 MB)\n')
  const { status, stdout, stderr } = spawnSync('pnpm', ['install', '--frozen-lockfile', '--reporter=append-only'], {
    cwd: FOLDER,
    encoding: 'utf8',
    env: { ...process.env, CI: 'true' },
  })
  if (status !== 0) throw new Error(`the peers could not be installed:\n${stdout}${stderr}`)
}
