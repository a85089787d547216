import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { identify } from '@hypercode/local-stack'

let guard: ChildProcess | undefined

/**
 * Ends `pid` when this process is gone, however it went: exit hooks do not run on SIGKILL, nor on the SIGTERM with which vitest ends a
 * test process. One small process waits for the end of its input, which comes with ours.
 */
export function endWithUs(pid: number): void {
  const identity = identify(pid)
  if (identity === undefined) return // it is gone already
  guard ??= startGuard()
  guard.stdin?.write(`${JSON.stringify(identity)}\n`)
}

function startGuard(): ChildProcess {
  const program = new URL(`./child-guard-main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
  const child = spawn(process.execPath, ['--conditions=@hypercode/source', fileURLToPath(program)], {
    cwd: '/',
    detached: true, // Ctrl-C goes to the whole group of the terminal
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  child.stdin?.on('error', () => undefined) // without the guard, only the cleaning up after a crash is missing
  child.unref()
  return child
}
