import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { describe, expect } from 'vitest'
import { logLine } from '../../src/drivers/log-line.ts'
import { openLog, readLog } from '../../src/drivers/process/log-files.ts'
import { readLines } from '../../src/drivers/process/output.ts'
import { test } from './setup.ts'

describe('the log of a launch', () => {
  test('is read page by page, each line once', ({ folder }) => {
    const log = openLog(folder, 1_000_000)
    const written = Array.from({ length: 1000 }, (_, line) => JSON.stringify({ line }))
    const read: string[] = []
    let cursor = 0
    for (const [index, line] of written.entries()) {
      log.write(line)
      if (index % 7 !== 0) continue
      const page = readLog(folder, cursor, 5)
      expect(page.lines.length).toBeLessThanOrEqual(5)
      read.push(...page.lines)
      cursor = page.cursor
    }
    read.push(...readLog(folder, cursor, 10_000).lines)
    expect(read).toEqual(written)
    log.close()
  })

  test('keeps its last lines within its bound, and a reader that was away goes on with the oldest of them', async ({
    folder,
  }) => {
    const log = openLog(folder, 10_000)
    for (let line = 0; line < 5000; line++) log.write(JSON.stringify({ line }))
    log.close()
    const sizes = await Promise.all(
      (await readdir(folder)).map(async (name) => (await stat(path.join(folder, name))).size),
    )
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(10_000)
    const { lines, cursor } = readLog(folder, 0, 10_000)
    const numbers = lines.map((line) => (JSON.parse(line) as { line: number }).line)
    expect(numbers.length).toBeGreaterThan(300)
    expect(numbers).toEqual(numbers.map((_, index) => 5000 - numbers.length + index))
    expect(readLog(folder, cursor, 10)).toEqual({ lines: [], cursor })
    expect(cursor).toBeGreaterThan(60_000)
  })

  test('that does not exist is empty', ({ folder }) => {
    expect(readLog(path.join(folder, 'none'), 12, 10)).toEqual({ lines: [], cursor: 12 })
  })
})

describe('output becomes lines', () => {
  test('characters cut in two, Windows line ends, empty lines and a last line without an end', async () => {
    const bytes = Buffer.from('één\r\n\nzwei\nlast')
    expect(await linesOf([...bytes].map((byte) => Buffer.from([byte])))).toEqual(['één', 'zwei', 'last'])
  })

  test('without a line break it is cut, so that it needs no memory without end', async () => {
    const lines = await linesOf(Array.from({ length: 300 }, () => Buffer.alloc(1000, 'x')))
    expect(lines.join('')).toHaveLength(300_000)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(70_000)
  })
})

describe('a line becomes an object', () => {
  const at = new Date('2026-01-02T03:04:05.678Z')

  test('unless it is one', () => {
    expect(logLine('{"level":"warn","msg":"x"}', 'stdout', at)).toBe('{"level":"warn","msg":"x"}')
  })

  test.for(['plain', '{broken', '[1]', 'null', '{"half":"', 'nul \u0000', 'half \ud800'])('%j', (text) => {
    const line = logLine(text, 'stderr', at)
    expect(JSON.parse(line)).toMatchObject({
      ts: '2026-01-02T03:04:05.678Z',
      level: 'error',
      stream: 'stderr',
      msg: text,
    })
    expect(line).not.toMatch(/[\u0000\n\ud800]/)
  })

  test('and is not endless', () => {
    const line = logLine(`{"a":"${'x'.repeat(50_000)}"}`, 'stdout', at)
    expect(line.length).toBeLessThan(17_000 * 2)
    expect(JSON.parse(line)).toMatchObject({ cutCharacters: 50_008 - 16_384 })
  })
})

async function linesOf(chunks: Buffer[]): Promise<string[]> {
  const lines: string[] = []
  const stream = Readable.from(chunks)
  readLines(stream, (line) => lines.push(line))
  await finished(stream)
  return lines
}
