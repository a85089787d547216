import { lstat, readlink, realpath } from 'node:fs/promises'
import { isAbsolute, join, posix, relative } from 'node:path'
import { TerminalError } from '@hypercode/base-agent'
import type { BaseRepository } from './base-repository.ts'
import { listFiles } from './list-files.ts'
import { isSecretFile } from './secret-files.ts'
import { isGitFolder } from './tree-path.ts'

export interface SnapshotLimits {
  readonly filesMax: number
  readonly bytesMax: number
  /** A larger file is left out. */
  readonly fileBytesMax: number
}

/** What a task works on, and what of the repository is not in it. */
export interface Snapshot {
  readonly tree: string
  readonly files: number
  readonly bytes: number
  /** How many files were left out, by reason. */
  readonly leftOut: Readonly<Record<LeftOut, number>>
}

export type LeftOut = 'secret' | 'too-large' | 'link-out' | 'special'

/**
 * Brings the files of `root` into the base as they are, byte for byte, and answers the tree. Nothing is written to `root`.
 * @throws {TerminalError} when `root` cannot be read or is larger than allowed
 */
export async function takeSnapshot(
  base: BaseRepository,
  root: string,
  limits: SnapshotLimits,
  signal: AbortSignal,
): Promise<Snapshot> {
  const folder = await folderOf(root)
  const paths = await listFiles(folder, { git: base.outside, filesMax: limits.filesMax, signal })
  if (paths.length > limits.filesMax) throw tooLarge(`more than ${limits.filesMax} files`)
  const leftOut: Record<LeftOut, number> = { secret: 0, 'too-large': 0, 'link-out': 0, special: 0 }
  const taken: string[] = []
  let bytes = 0
  for (const path of paths) {
    signal.throwIfAborted()
    const seen = await look(folder, path, limits.fileBytesMax)
    if (seen === undefined) continue
    if (typeof seen === 'string') leftOut[seen] += 1
    else {
      bytes += seen.bytes
      if (bytes > limits.bytesMax) throw tooLarge(`more than ${limits.bytesMax} bytes`)
      taken.push(path)
    }
  }
  const tree = await base.treeOf(folder, taken, signal)
  return { tree, files: taken.length, bytes, leftOut }
}

async function folderOf(root: string): Promise<string> {
  if (!isAbsolute(root))
    throw new TerminalError('the root is not an absolute path', undefined, { code: 'root_invalid' })
  try {
    const folder = await realpath(root)
    if ((await lstat(folder)).isDirectory()) return folder
  } catch (cause) {
    throw new TerminalError('the root cannot be read', String(cause), { code: 'root_unreadable', cause })
  }
  throw new TerminalError('the root is not a folder', undefined, { code: 'root_unreadable' })
}

/** Why a file is left out, or its size; `undefined` when it is gone (deleted and not yet committed). */
async function look(
  folder: string,
  path: string,
  fileBytesMax: number,
): Promise<{ readonly bytes: number } | LeftOut | undefined> {
  if (/[\r\n]/.test(path) || path.split('/').some(isGitFolder)) return 'special'
  if (isSecretFile(path)) return 'secret'
  try {
    const stats = await lstat(join(folder, path))
    if (stats.isSymbolicLink()) return (await leadsOut(folder, path)) ? 'link-out' : { bytes: stats.size }
    if (!stats.isFile()) return 'special'
    return stats.size > fileBytesMax ? 'too-large' : { bytes: stats.size }
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return
    throw error
  }
}

/** Does a link lead out of the folder, by its words or by where it ends? */
export async function leadsOut(folder: string, path: string): Promise<boolean> {
  const target = await readlink(join(folder, path))
  if (isAbsolute(target) || isOutside(posix.join(posix.dirname(path), target))) return true
  try {
    // Not normalised: `a/..` is not where it seems to be when `a` is a link.
    return isOutside(relative(await realpath(folder), await realpath(`${folder}/${posix.dirname(path)}/${target}`)))
  } catch {
    return false // it leads nowhere, and by its words not out
  }
}

const isOutside = (path: string): boolean => path === '..' || path.startsWith('../') || isAbsolute(path)

const tooLarge = (what: string): TerminalError =>
  new TerminalError('the repository is too large for this agent', what, { code: 'root_too_large' })
