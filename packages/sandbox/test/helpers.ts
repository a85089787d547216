import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { dataHome, provideBubblewrap } from '@hypercode/local-stack'
import { onTestFinished } from 'vitest'
import type { Sandbox } from '../src/index.ts'
import { findSandbox } from '../src/index.ts'

export const packageDir = fileURLToPath(new URL('..', import.meta.url))
const checkout = path.join(packageDir, '../..')

/** Where the runtime of this checkout is, so that a run does not fetch again what an earlier one has fetched. */
export const runtimeDir = path.join(dataHome(checkout).dir, 'runtime')

/** bubblewrap as every start and test gets it. */
export async function bubblewrapPath(): Promise<string> {
  const file = await provideBubblewrap(runtimeDir, (line) => process.stderr.write(`${line}\n`))
  if (file === undefined) throw new Error('no bubblewrap on this machine, and none could be fetched')
  return file
}

export async function workingSandbox(): Promise<Sandbox> {
  const sandbox = await findSandbox({ path: await bubblewrapPath() })
  if (sandbox === undefined) throw new Error('bubblewrap does not work on this machine')
  return sandbox
}

/** A folder that anybody can read and is gone after the test. */
export function temporaryFolder(): string {
  const dir = realpathSync(mkdtempSync(path.join(tmpdir(), 'hc-sandbox-test-')))
  chmodSync(dir, 0o755)
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

export interface OutsideResult {
  readonly exitCode: number | null
  readonly stdout: string
}

/** Runs a command as this process could run it, without a sandbox, at most `timeoutMs` long. */
export async function runOutside(argv: readonly string[], cwd: string, timeoutMs = 10_000): Promise<OutsideResult> {
  const [program = '', ...args] = argv
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], timeout: timeoutMs })
  let stdout = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('close', (code) => resolve(code))
    child.once('error', reject)
  })
  return { exitCode, stdout }
}

/** Living processes of this machine whose command line holds the word. */
export function processesWith(word: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => pid !== process.pid && commandLineOf(pid).includes(word))
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return '' // it ended while we looked
  }
}

/** Waits until `check` is true, at most `waitMs`. */
export async function until(check: () => boolean, waitMs = 10_000): Promise<void> {
  const deadline = Date.now() + waitMs
  while (!check()) {
    if (Date.now() >= deadline) throw new Error(`not true within ${waitMs} ms: ${check.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
