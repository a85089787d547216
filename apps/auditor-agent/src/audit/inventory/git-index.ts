import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

const MAX_INDEX_BYTES = 64 * 1024 * 1024

/**
 * The paths that git tracks, read from the index file itself. Git is not called: the configuration of a repository
 * may name programs to run, and an audit must not run what it audits. Undefined when there is no index to be read.
 */
export async function trackedPaths(gitDir: string): Promise<ReadonlySet<string> | undefined> {
  try {
    const index = await readFile(join(gitDir, 'index'))
    return index.length <= MAX_INDEX_BYTES ? new Set(parseIndex(index)) : undefined
  } catch {
    // hypercode-audit-ignore[error-handling]: without an index nothing is tracked, as the contract above says
    return undefined
  }
}

/** Entries of index versions 2 to 4. Throws RangeError on a file that is cut short. */
export function parseIndex(index: Buffer): string[] {
  if (index.length < 12 || index.toString('latin1', 0, 4) !== 'DIRC') return []
  const version = index.readUInt32BE(4)
  const count = index.readUInt32BE(8)
  if (version < 2 || version > 4) return []
  const paths: string[] = []
  let at = 12
  let previous = ''
  for (let entry = 0; entry < count; entry++) {
    const start = at
    const flags = index.readUInt16BE(at + 60)
    at += 62 + (version >= 3 && (flags & 0x4000) !== 0 ? 2 : 0)
    let keep = 0
    if (version === 4) {
      const cut = readOffset(index, at)
      at = cut.next
      keep = Math.max(0, previous.length - cut.value)
    }
    const end = index.indexOf(0, at)
    if (end < 0) throw new RangeError('the index is cut short')
    // Version 4 shares prefixes by bytes; latin1 keeps one character per byte until the path is complete.
    previous = previous.slice(0, keep) + index.toString('latin1', at, end)
    paths.push(Buffer.from(previous, 'latin1').toString('utf8'))
    at = version === 4 ? end + 1 : start + Math.ceil((end + 1 - start) / 8) * 8
  }
  return paths
}

/** The variable-width number of pack files: seven bits a byte, each further byte adds one. */
function readOffset(buffer: Buffer, from: number): { value: number; next: number } {
  let at = from
  let byte = buffer.readUInt8(at++)
  let value = byte & 0x7f
  while ((byte & 0x80) !== 0) {
    byte = buffer.readUInt8(at++)
    value = (value + 1) * 128 + (byte & 0x7f)
  }
  return { value, next: at }
}
