import type { ServerName } from './binaries.ts'

/** How one server is started, asked and stopped. It knows nothing about processes. */
export interface ServerPlan {
  readonly name: ServerName
  readonly command: string
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  args(port: number): readonly string[]
  /** Writes the configuration for that port. Called before every start, when nothing runs on the files. */
  prepare(port: number): void
  /** Resolves when the server really answers on that port. */
  probe(port: number): Promise<void>
  /** In this order until it is gone; SIGKILL follows on its own. */
  readonly stopSignals: readonly { readonly signal: NodeJS.Signals; readonly waitMs: number }[]
  /** Equal for two plans exactly when a server started for the one may serve the other. */
  fingerprint(port: number): string
}

export function fingerprintOf(...parts: readonly unknown[]): string {
  return JSON.stringify(parts)
}
