/**
 * The output of a launch: files named by the offset at which they start in all that was ever written, so that an offset
 * stays a place in the log when the oldest file is removed.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readSync, readdirSync, rmSync, writeSync } from 'node:fs'
import path from 'node:path'
import type { LogPage } from '../driver.ts'
import { unless } from '../errors.ts'

/** What one page reads at most. Longer than any line. */
const PAGE_BYTES_MAX = 1024 * 1024
const NEWLINE = 0x0a

export interface LogWriter {
  write(line: string): void
  close(): void
}

/** Keeps the last `bytesMax / 2` to `bytesMax` bytes. What was written is in the file when `write` returns. */
export function openLog(folder: string, bytesMax: number): LogWriter {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  let start = 0
  let size = 0
  let file = openSync(fileAt(folder, start), 'a', 0o600)
  const rotate = (): void => {
    closeSync(file)
    start += size
    size = 0
    file = openSync(fileAt(folder, start), 'a', 0o600)
    for (const old of logStarts(folder).slice(0, -2)) rmSync(fileAt(folder, old), { force: true })
  }
  return {
    write: (line) => {
      const bytes = Buffer.from(`${line}\n`)
      if (size > 0 && size + bytes.length > bytesMax / 2) rotate()
      size += writeIfRoom(file, bytes)
    },
    close: () => closeSync(file),
  }
}

/** The lines from `cursor` on. What is no longer kept is passed over. */
export function readLog(folder: string, cursor: number, limit: number): LogPage {
  const lines: string[] = []
  const starts = logStarts(folder)
  const first = Math.max(
    0,
    starts.findLastIndex((start) => start <= cursor),
  )
  let next = cursor
  for (const start of starts.slice(first)) {
    const from = Math.max(next, start)
    // It may have been removed since we looked; the next file goes on behind it.
    const chunk = unless(['ENOENT'], () => readFrom(fileAt(folder, start), from - start)) ?? Buffer.alloc(0)
    const read = takeLines(chunk, limit - lines.length)
    lines.push(...read.lines)
    next = from + read.bytes
    if (lines.length >= limit || chunk.length === PAGE_BYTES_MAX) break
  }
  return { lines, cursor: next }
}

/** On a full disk the agent loses lines, not its life. */
function writeIfRoom(file: number, bytes: Buffer): number {
  return unless(['ENOSPC', 'EDQUOT'], () => writeSync(file, bytes)) ?? 0
}

function takeLines(chunk: Buffer, limit: number): { lines: string[]; bytes: number } {
  const lines: string[] = []
  let bytes = 0
  while (lines.length < limit) {
    const end = chunk.indexOf(NEWLINE, bytes)
    if (end === -1) break // half a line is still being written
    lines.push(chunk.toString('utf8', bytes, end))
    bytes = end + 1
  }
  return { lines, bytes }
}

function readFrom(file: string, position: number): Buffer {
  const descriptor = openSync(file, 'r')
  try {
    const length = Math.max(0, Math.min(PAGE_BYTES_MAX, fstatSync(descriptor).size - position))
    const chunk = Buffer.alloc(length)
    return chunk.subarray(0, readSync(descriptor, chunk, 0, length, position))
  } finally {
    closeSync(descriptor)
  }
}

/** Ascending; empty when there is no log. */
function logStarts(folder: string): number[] {
  const names = unless(['ENOENT'], () => readdirSync(folder)) ?? []
  return names
    .map((name) => /^(\d{16})\.jsonl$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b)
}

const fileAt = (folder: string, start: number): string => path.join(folder, `${`${start}`.padStart(16, '0')}.jsonl`)
