import { rmSync } from 'node:fs'
import path from 'node:path'
import { spawn } from 'node:child_process'
import { HYPERCODE_DIR, ROOT } from './checkout.ts'
import { runTool } from './build.ts'
import { readJsonFile } from './private-file.ts'

/** How many things passed and failed; a tool that looks at everything at once counts as one. */
export interface Tally {
  readonly passed: number
  readonly failed: number
}

export interface CheckResult extends Tally {
  /** What the tool printed, shown when something failed. */
  readonly output: string
}

export interface Check {
  readonly name: string
  readonly program: string
  readonly args: readonly string[]
}

/** What can be said without running anything. They read the same files and change none but `dist`. */
export const STATIC_CHECKS: readonly Check[] = [
  { name: 'format', program: 'biome', args: ['format', '.'] },
  { name: 'types and build', program: 'tsc', args: ['-b'] },
  // After the build: the types of a package are those in its `dist`.
  { name: 'lint', program: 'oxlint', args: ['--type-aware'] },
  { name: 'types of tests', program: 'tsc', args: ['-p', 'tsconfig.check.json'] },
  { name: 'floors', program: 'node', args: ['infra/scripts/floors.ts'] },
]

export async function runCheck({ program, args }: Check, signal: AbortSignal): Promise<CheckResult> {
  const { ok, output } = await runTool(ROOT, program, args, signal)
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, output }
}

/**
 * Runs all tests, with their own reporter on our output, and counts them. A file that cannot even be loaded and an error
 * outside of any test count as failed, since nothing else would show them in the sum.
 */
export async function runTests(filters: readonly string[], signal: AbortSignal): Promise<Tally> {
  const file = path.join(HYPERCODE_DIR, 'test-results.json')
  rmSync(file, { force: true })
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...filters]
  const isOk = await new Promise<boolean>((resolve, reject) => {
    const child = spawn('vitest', args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
    // It has tests of its own to stop and servers to put away, so it is asked and not killed.
    signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true })
    child.once('error', reject)
    child.once('close', (code) => resolve(code === 0))
  })
  const tally = readTally(file)
  return isOk || tally.failed > 0 ? tally : { ...tally, failed: 1 }
}

function readTally(file: string): Tally {
  const results = readJsonFile(file)
  if (typeof results !== 'object' || results === null) return { passed: 0, failed: 1 }
  const { numPassedTests, numFailedTests, testResults } = results as Record<string, unknown>
  if (typeof numPassedTests !== 'number' || typeof numFailedTests !== 'number' || !Array.isArray(testResults)) {
    return { passed: 0, failed: 1 }
  }
  const unloaded = testResults.filter((result: unknown) => {
    if (typeof result !== 'object' || result === null) return false
    const { status, assertionResults } = result as Record<string, unknown>
    return status === 'failed' && Array.isArray(assertionResults) && assertionResults.length === 0
  })
  return { passed: numPassedTests, failed: numFailedTests + unloaded.length }
}
