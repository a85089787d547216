import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

export interface BoundedOutput {
  /** What is there so far, without a character that was cut in two. */
  text(): string
  readonly truncated: boolean
}

/** Keeps the first `maxBytes` of a stream. The rest is read, so that its writer goes on, and dropped. */
export function collectOutput(stream: Readable, maxBytes: number): BoundedOutput {
  const decoder = new StringDecoder('utf8')
  const kept: string[] = []
  let room = maxBytes
  let truncated = false
  stream.on('data', (chunk: Buffer) => {
    if (chunk.length > room) truncated = true
    if (room > 0) kept.push(decoder.write(chunk.subarray(0, room)))
    room = Math.max(0, room - chunk.length)
  })
  return {
    text: () => kept.join(''),
    get truncated() {
      return truncated
    },
  }
}
