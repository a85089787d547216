import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Watchdog {
  /** Tells it that there is nothing left to do. */
  dismiss(): void
}

/**
 * Starts a small process that does nothing until we end. Should we end without having called `dismiss()` (a SIGKILL, a
 * crash), it stops the servers in `dir` and removes the folder: no later start would come by and do it.
 */
export function startWatchdog(dir: string): Watchdog {
  // In source and in dist this module stands beside the program, each with its own ending.
  const program = new URL(`./watchdog-main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
  const child = spawn(process.execPath, [fileURLToPath(program), dir], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.once('error', () => undefined) // without it everything works but the cleaning up after our own crash
  child.stdin.on('error', () => undefined) // it may be gone when we dismiss it
  child.unref()
  return { dismiss: () => child.stdin.end('done') }
}
