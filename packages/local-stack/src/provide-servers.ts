import type { Binaries } from './binaries.ts'
import { findBinaries } from './binaries.ts'
import { MissingServersError, messageOf } from './errors.ts'
import { fetchBinaries } from './fetch-binaries.ts'
import { toolWorks } from './run-tool.ts'

/** What the servers are: programs of this machine, or containers. */
export type ServerSource =
  | { readonly kind: 'programs'; readonly binaries: Binaries }
  | { readonly kind: 'compose'; readonly composeFile: string }

export interface ProvideOptions {
  /** Where fetched programs are unpacked. */
  readonly runtimeDir: string
  /** What to start when there are no programs and a Docker engine answers. */
  readonly composeFile?: string | undefined
  /** There is data of this version, so no other will do. */
  readonly postgresMajor?: number | undefined
  readonly log?: (line: string) => void
  /** Aborted: gives up fetching. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Finds the servers, or fetches them, or falls back to containers, in this order.
 *
 * @throws {MissingServersError} with the commands that help when nothing of it works
 */
export async function provideServers(options: ProvideOptions): Promise<ServerSource> {
  const { runtimeDir, composeFile, postgresMajor, log = () => undefined, signal } = options
  const { binaries, missing } = findBinaries(runtimeDir, postgresMajor)
  if (binaries !== undefined) return { kind: 'programs', binaries }
  let reason: string
  try {
    return { kind: 'programs', binaries: await fetchBinaries(runtimeDir, log, signal) }
  } catch (error) {
    signal?.throwIfAborted()
    reason = messageOf(error)
  }
  if (composeFile !== undefined && (await engineAnswers())) {
    log(`${missing.join(', ')} cannot be fetched with apt (${reason}); using containers`)
    return { kind: 'compose', composeFile }
  }
  throw new MissingServersError(
    [
      `not on this machine: ${missing.join(', ')}. They could not be fetched (${reason}), and no Docker engine with compose answers.`,
      'Install them with one of these, then run this again:',
      '  Debian, Ubuntu:  sudo apt-get install --no-install-recommends postgresql pgbouncer redis-server',
      '  Fedora:          sudo dnf install postgresql-server pgbouncer valkey',
      '  macOS:           brew install postgresql@17 pgbouncer redis',
    ].join('\n'),
  )
}

async function engineAnswers(): Promise<boolean> {
  return (
    (await toolWorks('docker', ['compose', 'version'])) &&
    (await toolWorks('docker', ['info', '--format', '{{.ServerVersion}}']))
  )
}
