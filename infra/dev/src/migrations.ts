import { spawn } from 'node:child_process'
import path from 'node:path'
import { ROOT } from './checkout.ts'
import { ProcessEndedError } from './managed-process.ts'

const BUILT = [path.join(ROOT, 'packages/db/dist/migrate-command.js')]
/** Needs no build, so that an error in some other package stops nobody who develops. */
const FROM_SOURCES = ['--conditions=@hypercode/source', path.join(ROOT, 'packages/db/src/migrate-command.ts')]

/**
 * Runs the migrate command of the database package, as it was built or from its sources. Answers how many migrations it applied.
 *
 * @throws {ProcessEndedError} with what it printed when it fails
 */
export async function runMigrations(
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
  code: 'built' | 'sources' = 'built',
): Promise<number> {
  const { exit, output } = await new Promise<{ exit: number | null; output: string }>((resolve, reject) => {
    const child = spawn(process.execPath, code === 'built' ? BUILT : FROM_SOURCES, {
      cwd: ROOT,
      env,
      signal,
      timeout: 120_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
    child.once('error', reject)
    child.once('close', (status) => resolve({ exit: status, output: text.trim() }))
  })
  if (exit !== 0) throw new ProcessEndedError(`the migration failed (exit ${exit}):\n${output}`, exit ?? undefined)
  return output
    .split('\n')
    .map(appliedIn)
    .reduce((sum, count) => sum + count, 0)
}

/** `{"step":"migrated","ran":["0001_first"]}` counts one. */
function appliedIn(line: string): number {
  if (!line.startsWith('{')) return 0
  const entry: unknown = JSON.parse(line)
  if (typeof entry !== 'object' || entry === null || !('ran' in entry)) return 0
  return Array.isArray(entry.ran) ? entry.ran.length : 0
}
