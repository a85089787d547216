import { writeSync } from 'node:fs'
import { CONFIG_EXIT_CODE, ConfigError } from './config-error.ts'

/** How a refusal is told: text for a person, or one JSON line as the logs of the service. */
export type RefusalFormat = 'text' | 'json'

/** Runs the start of a service; a refused configuration ends the process with exit code 78, see `exitOnConfigError`. */
export async function runService(main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    exitOnConfigError(error)
    throw error
  }
}

/**
 * Ends the process with exit code 78 when `error` is a ConfigError, and returns otherwise. The refusal goes to stderr
 * before: as text on a terminal, else as one JSON line.
 */
export function exitOnConfigError(
  error: unknown,
  format: RefusalFormat = process.stderr.isTTY ? 'text' : 'json',
): void {
  if (!(error instanceof ConfigError)) return
  writeAll(`${format === 'text' ? error.message : toJsonLine(error)}\n`)
  process.exit(CONFIG_EXIT_CODE)
}

function toJsonLine(error: ConfigError): string {
  const { problems } = error
  return JSON.stringify({ ts: new Date().toISOString(), level: 'fatal', msg: 'the configuration is refused', problems })
}

/** Written at once, since the process ends with the next statement; a reader that is gone must not change the exit code. */
function writeAll(text: string): void {
  try {
    writeSync(process.stderr.fd, text)
  } catch {
    process.stderr.write(text) // a pipe that is full for the moment
  }
}
