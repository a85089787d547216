import { pc } from './colors.ts'

/** Lines for the person at the terminal; stdout is for results, stderr for everything else. */
export const out = (line = ''): void => void process.stdout.write(`${line}\n`)
export const err = (line: string): void => void process.stderr.write(`${line}\n`)

const startedAt = performance.now()

/** One dim line with the seconds since the start, so that a slow step shows. */
export function step(line: string): void {
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1).padStart(5)
  out(`${pc.dim(`${seconds}s`)}  ${line}`)
}

/** Seconds with one digit, for lines like "tests passed in 12.3 s". */
export const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
