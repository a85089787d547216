import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { dirname, resolve, sep } from 'node:path'

/** The content of a secret file, or why it is not taken (neither text holds the path or the content). */
export type SecretFile = { value: string } | { problem: string; fix: string }

/** The largest secret file that is read, in bytes. */
const MAX_BYTES = 64 * 1024

/**
 * Reads a mounted secret. The file has to be a regular one of at most 64 KiB in UTF-8, owned by root or by the user
 * of this process, closed to others and not writable by its group (0640, 0600, 0440, 0400). Symbolic links are
 * followed only within the directory that the path names, as the `..data` links of Kubernetes do. One line break at
 * the end is taken off, since every editor puts one there.
 */
export function readSecretFile(path: string): SecretFile {
  let descriptor: number | undefined
  try {
    const directory = realpathSync(dirname(resolve(path)))
    const target = realpathSync(path)
    if (!target.startsWith(directory.endsWith(sep) ? directory : directory + sep)) return LINK_OUTSIDE
    // Checks and reading use one descriptor, so that nobody can exchange the file in between.
    descriptor = openSync(target, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    return statProblem(fstatSync(descriptor)) ?? readText(descriptor)
  } catch (error) {
    return unreadable(error)
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

const LINK_OUTSIDE: SecretFile = {
  problem: 'names a symbolic link that leads out of its directory',
  fix: 'mount the file itself, or a link that stays in the same directory',
}

function statProblem(stats: Stats): SecretFile | undefined {
  if (!stats.isFile()) {
    return {
      problem: 'does not name a regular file',
      fix: 'name the file that holds the value, not a directory or a pipe',
    }
  }
  const user = process.geteuid?.()
  if (user !== undefined && stats.uid !== user && stats.uid !== 0) {
    return {
      problem: 'names a file that belongs to another user',
      fix: 'give the file to root or to the user that runs the service (chown)',
    }
  }
  // Windows has no such bits; there the file's own access list has to do.
  if (process.platform !== 'win32' && (stats.mode & 0o037) !== 0) {
    return {
      problem: 'names a file that others can read, or that its group can change',
      fix: 'chmod 0400 the file (0440 for a group; in Kubernetes defaultMode: 0400, in Compose mode: 0400)',
    }
  }
  if (stats.size > MAX_BYTES) {
    return {
      problem: `names a file of more than ${MAX_BYTES / 1024} KiB`,
      fix: 'name a file that holds one value only',
    }
  }
  return undefined
}

function readText(descriptor: number): SecretFile {
  const buffer = Buffer.alloc(MAX_BYTES + 1)
  let length = 0
  while (length < buffer.length) {
    const read = readSync(descriptor, buffer, length, buffer.length - length, null)
    if (read === 0) break
    length += read
  }
  const bytes = buffer.subarray(0, length)
  if (length > MAX_BYTES)
    return { problem: 'names a file that grew while it was read', fix: 'mount a file that stays as it is' }
  try {
    return { value: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, '') }
  } catch {
    return { problem: 'names a file that is not text in UTF-8', fix: 'write the value as plain text' }
  } finally {
    buffer.fill(0)
  }
}

/** The reason by its error code alone: the message of a file system error quotes the path. */
function unreadable(error: unknown): SecretFile {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'
  return {
    problem: `names a file that cannot be read (${code})`,
    fix: 'mount the file and let the user of this process read it',
  }
}
