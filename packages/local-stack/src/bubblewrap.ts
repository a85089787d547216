import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { DebianArchive } from './debian-archive.ts'
import { withDebianArchive } from './debian-archive.ts'
import { searchPath } from './environment.ts'
import { StackError, messageOf } from './errors.ts'
import { lockFolder } from './folder-lock.ts'

/** As long as for the servers, whose fetching holds the same lock. */
const LOCK_WAIT_MS = 300_000

/**
 * The path of a bubblewrap (`bwrap`) that runs and is new enough, from the PATH or from what was unpacked below
 * `runtimeDir`. Undefined when there is none. Whether the machine lets it make namespaces is for `findSandbox` to try.
 */
export function findBubblewrap(runtimeDir: string): string | undefined {
  const onPath = searchPath()
    .split(path.delimiter)
    .filter((dir) => path.isAbsolute(dir))
  const folders = [...new Set(onPath), path.resolve(runtimeDir, 'bubblewrap')]
  return folders.map((dir) => path.join(dir, 'bwrap')).find((file) => existsSync(file) && isRecent(file))
}

/**
 * Finds bubblewrap, or fetches it as a Debian package and unpacks that below `runtimeDir`, without root. That it cannot be
 * had is no fault but an answer, undefined, since it is optional; it can take as long as apt's time-outs.
 *
 * @throws the reason of `signal` when that is aborted
 */
export async function provideBubblewrap(
  runtimeDir: string,
  log: (line: string) => void = () => undefined,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const found = findBubblewrap(runtimeDir)
  if (found !== undefined) return found
  try {
    const lock = await lockFolder(runtimeDir, LOCK_WAIT_MS)
    try {
      if (findBubblewrap(runtimeDir) === undefined) {
        await withDebianArchive(runtimeDir, signal, async (archive) => await bringBubblewrap(archive, runtimeDir, log))
      }
    } finally {
      lock.release()
    }
  } catch (error) {
    log(`bubblewrap cannot be fetched: ${messageOf(error)}`)
  }
  signal?.throwIfAborted()
  return findBubblewrap(runtimeDir)
}

/** Unpacks bubblewrap when there is none. A failure is only told, because nothing waits for it. */
export async function bringBubblewrap(
  archive: DebianArchive,
  runtimeDir: string,
  log: (line: string) => void,
): Promise<void> {
  if (findBubblewrap(runtimeDir) !== undefined) return
  try {
    const name = await archive.firstKnown(['bubblewrap'])
    if (name === undefined) throw new StackError(archive.updateFault ?? 'apt knows no such package')
    await archive.unpack([name], 'bubblewrap', writeStarter)
  } catch (error) {
    log(`bubblewrap cannot be fetched: ${messageOf(error)}`)
  }
}

/** One path says it all: a script beside the files that finds the libraries which came with them. */
function writeStarter(root: string): void {
  const libraries = ['usr/lib', 'lib'].flatMap((dir) =>
    existsSync(path.join(root, dir))
      ? readdirSync(path.join(root, dir))
          .filter((name) => name.endsWith('-linux-gnu'))
          .map((name) => `$here/${dir}/${name}`)
      : [],
  )
  const starter = path.join(root, 'bwrap')
  const lines = [
    '#!/bin/sh',
    'here=${0%/*}',
    `LD_LIBRARY_PATH="${libraries.join(':')}" exec "$here/usr/bin/bwrap" "$@"`,
    '',
  ]
  writeFileSync(starter, lines.join('\n'))
  chmodSync(starter, 0o755)
}

/** From 0.8 on it can bound its memory file systems and forbid namespaces inside of the sandbox. */
function isRecent(file: string): boolean {
  const run = spawnSync(file, ['--version'], { cwd: '/', env: {}, encoding: 'utf8', timeout: 5_000 })
  const [, major, minor] = /^bubblewrap (\d+)\.(\d+)/.exec(run.stdout ?? '') ?? []
  return run.status === 0 && (Number(major) > 0 || Number(minor) >= 8)
}
