import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

/** One line of a service's log, as it was written. */
export type LogLine = Readonly<Record<string, unknown>>

export interface LogReader {
  readonly lines: readonly LogLine[]
  read(stream: Readable): void
  add(line: LogLine): void
  /** The last lines, as text. */
  text(count: number): string
}

const LINES_MAX = 20_000

/** Gathers JSON lines; a line that is not a JSON object becomes `{ msg }`. */
export function createLogReader(onLine?: (line: LogLine) => void): LogReader {
  let lines: LogLine[] = []
  const add = (line: LogLine): void => {
    lines.push(line)
    if (lines.length > LINES_MAX * 1.1) lines = lines.slice(-LINES_MAX)
    onLine?.(line)
  }
  return {
    get lines() {
      return lines
    },
    read: (stream) => createInterface({ input: stream }).on('line', (text) => add(parseLine(text))),
    add,
    text: (count) =>
      lines
        .slice(-count)
        .map((line) => JSON.stringify(line))
        .join('\n'),
  }
}

function parseLine(text: string): LogLine {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as LogLine) : { msg: text }
  } catch (error) {
    if (error instanceof SyntaxError) return { msg: text }
    throw error
  }
}
