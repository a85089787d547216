import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

/** A line that grows beyond this is cut here, so that output without line breaks needs no more memory than this. */
const LINE_CHARACTERS_MAX = 65_536

/** Calls `onLine` for every line, and for what follows the last line break when the stream ends. Empty lines are left out. */
export function readLines(stream: Readable, onLine: (text: string) => void): void {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  const emit = (text: string): void => {
    const line = text.endsWith('\r') ? text.slice(0, -1) : text
    if (line !== '') onLine(line)
  }
  const take = (text: string): void => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) emit(line)
    if (rest.length > LINE_CHARACTERS_MAX) {
      emit(rest)
      rest = ''
    }
  }
  stream.on('data', (chunk: Buffer) => take(decoder.write(chunk)))
  stream.on('end', () => {
    take(decoder.end())
    emit(rest)
  })
}
