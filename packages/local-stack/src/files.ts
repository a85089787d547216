import {
  chmodSync,
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { randomBytes } from 'node:crypto'
import type { Account } from './account.ts'
import { giveTo } from './account.ts'
import { codeOf } from './errors.ts'

/** Writes a private file so that a reader sees the old content or the new, never half of it. */
export function writeFileAtomic(file: string, content: string, account: Account = {}): void {
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    writeFileSync(draft, content, { mode: 0o600, flag: 'wx' })
    giveTo(account, draft)
    renameSync(draft, file)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
}

/** Creates a folder that only `account` can enter. */
export function privateFolder(dir: string, account: Account = {}): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  chmodSync(dir, 0o700)
  giveTo(account, dir)
}

/** The size of a file in bytes; 0 when there is none. */
export function sizeOf(file: string): number {
  try {
    return statSync(file).size
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 0
    throw error
  }
}

/** What was written to `file` after byte `from`, at most the last `maxBytes` of it. */
export function readTail(file: string, from = 0, maxBytes = 4_096): string {
  if (sizeOf(file) === 0) return ''
  const fd = openSync(file, 'r')
  try {
    const end = fstatSync(fd).size
    const start = Math.max(from > end ? 0 : from, end - maxBytes)
    const buffer = Buffer.alloc(end - start)
    readSync(fd, buffer, 0, buffer.length, start)
    return buffer.toString('utf8').trim()
  } finally {
    closeSync(fd)
  }
}
