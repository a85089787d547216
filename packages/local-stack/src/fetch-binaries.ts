import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Binaries, ServerName } from './binaries.ts'
import { findBinaries } from './binaries.ts'
import { bringBubblewrap } from './bubblewrap.ts'
import type { DebianArchive } from './debian-archive.ts'
import { withDebianArchive } from './debian-archive.ts'
import { StackError } from './errors.ts'
import { lockFolder } from './folder-lock.ts'

/**
 * Fetches what is missing of the servers as Debian packages and unpacks them below `runtimeDir`; bubblewrap comes along
 * when it is missing too and can be had. Needs no root (`withDebianArchive`). Only one process fetches; others wait for it.
 *
 * @throws {StackError} when apt is absent or cannot do it, with apt's own words
 */
export async function fetchBinaries(
  runtimeDir: string,
  log: (line: string) => void,
  signal?: AbortSignal,
): Promise<Binaries> {
  const lock = await lockFolder(runtimeDir, 300_000)
  try {
    const { binaries, missing } = findBinaries(runtimeDir)
    if (binaries !== undefined) return binaries
    // What an earlier set-up unpacked is not enough: start over, for one set of packages that fit together.
    const unpacked = existsSync(path.join(runtimeDir, 'root'))
    const wanted = unpacked ? findBinaries(path.join(runtimeDir, 'none')).missing : missing
    log(`fetching ${wanted.join(', ')} as Debian packages (unpacked under ${runtimeDir}, not installed)`)
    await withDebianArchive(runtimeDir, signal, async (archive) => {
      await unpackServers(archive, wanted)
      await bringBubblewrap(archive, runtimeDir, log)
    })
  } finally {
    lock.release()
  }
  const { binaries, missing } = findBinaries(runtimeDir)
  if (binaries === undefined) throw new StackError(`the fetched packages do not run here: ${missing.join(', ')}`)
  return binaries
}

/** Unpacks these servers into the archive's folder `root`, whatever is installed. */
export async function unpackServers(archive: DebianArchive, wanted: readonly ServerName[]): Promise<void> {
  const names = await Promise.all(wanted.map(async (name) => await archive.firstKnown(PACKAGES[name])))
  const unknown = wanted.filter((_, index) => names[index] === undefined)
  if (unknown.length > 0) {
    const why = archive.updateFault === undefined ? '' : `: ${archive.updateFault}`
    throw new StackError(`apt knows no package for ${unknown.join(', ')}${why}`)
  }
  await archive.unpack(
    names.filter((name) => name !== undefined),
    'root',
  )
}

const PACKAGES: Readonly<Record<ServerName, readonly string[]>> = {
  postgres: ['18', '17', '16', '15', '14'].map((version) => `postgresql-${version}`),
  pgbouncer: ['pgbouncer'],
  redis: ['redis-server', 'valkey-server'],
}
