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
export function startWatchdog(dir: string, log: (line: string) => void = () => undefined): Watchdog {
  // In source and in dist this module stands beside the program, each with its own ending.
  const program = new URL(`./watchdog-main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
  const child = spawn(process.execPath, [fileURLToPath(program), dir], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  // Without it everything works but the cleaning up after a crash of our own.
  child.once('error', (error) => log(`nobody will clean up ${dir} after a crash: ${error.message}`))
  child.stdin.once('error', (error) => log(`the watchdog of ${dir} is gone: ${error.message}`))
  child.unref()
  return { dismiss: () => child.stdin.end('done') }
}
