import { Writable } from 'node:stream'
import { createLogger } from '../src/index.ts'
import type { Logger, LoggerOptions } from '../src/index.ts'

/** A logger on a real stream, and what it wrote: as text and as the objects of its lines. */
export function recordedLogger(options: Partial<LoggerOptions> = {}): {
  log: Logger
  text: () => string
  lines: () => Record<string, unknown>[]
} {
  const chunks: string[] = []
  const destination = new Writable({
    decodeStrings: false,
    write: (chunk: string, _encoding, done) => {
      chunks.push(chunk)
      done()
    },
  })
  const text = (): string => chunks.join('')
  const lines = (): Record<string, unknown>[] =>
    text()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return { log: createLogger({ service: 'gateway', level: 'trace', destination, ...options }), text, lines }
}
