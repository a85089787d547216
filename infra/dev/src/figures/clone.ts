import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { ROOT } from '../checkout.ts'

export interface RunResult {
  readonly code: number
  readonly seconds: number
  readonly output: string
}

export interface Clone {
  readonly dir: string
  /** Runs a command in the clone, with a bound on its time; more variables may be set. */
  run(
    program: string,
    args: readonly string[],
    timeoutMs: number,
    env?: Readonly<Record<string, string>>,
  ): Promise<RunResult>
}

/** Clones the committed state of this checkout into a temporary folder and removes it in the end. */
export async function inFreshClone<T>(use: (clone: Clone) => Promise<T>): Promise<T> {
  const parent = mkdtempSync(path.join(tmpdir(), 'hypercode-clone-'))
  const dir = path.join(parent, 'hypercode')
  try {
    const cloned = await runIn(parent, 'git', ['clone', '--quiet', ROOT, dir], 60_000)
    if (cloned.code !== 0) throw new Error(`git clone failed: ${cloned.output}`)
    return await use({ dir, run: async (program, args, timeoutMs, env) => runIn(dir, program, args, timeoutMs, env) })
  } finally {
    rmSync(parent, { recursive: true, force: true })
  }
}

/** What of our own environment would make the clone behave as this checkout. */
const OURS = /^(npm_|INIT_CWD$|PNPM_|NODE_|DATABASE_|REDIS_URL$|JWT_|HYPERCODE_)/i

async function runIn(
  cwd: string,
  program: string,
  args: readonly string[],
  timeoutMs: number,
  more: Readonly<Record<string, string>> = {},
): Promise<RunResult> {
  const bin = path.join(ROOT, 'node_modules/.bin')
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OURS.test(name)))
  // A stranger's PATH does not lead into our node_modules.
  const PATH = (env['PATH'] ?? '')
    .split(path.delimiter)
    .filter((entry) => entry !== bin)
    .join(path.delimiter)
  const startedAt = performance.now()
  return await new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...env, PATH, ...more }, stdio: ['ignore', 'pipe', 'pipe'] })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    const timer = setTimeout(() => child.kill('SIGTERM'), timeoutMs)
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve({
        code: code ?? 1,
        seconds: (performance.now() - startedAt) / 1000,
        output: Buffer.concat(chunks).toString(),
      })
    })
  })
}
