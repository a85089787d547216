import type { OutputStream } from '../log-line.ts'
import { parseTimedLine } from '../timed-log.ts'
import type { TimedLine } from '../timed-log.ts'

const HEADER_BYTES = 8
const STDERR = 2

/** What an engine answers for the logs of a container without a terminal: frames, each of one stream, each with whole lines. */
export function readFrames(answer: Buffer): TimedLine[] {
  const lines: TimedLine[] = []
  for (let offset = 0; offset + HEADER_BYTES <= answer.length; ) {
    const stream: OutputStream = answer[offset] === STDERR ? 'stderr' : 'stdout'
    const end = offset + HEADER_BYTES + answer.readUInt32BE(offset + 4)
    const text = answer.toString('utf8', offset + HEADER_BYTES, end)
    lines.push(...text.split('\n').flatMap((line) => parseTimedLine(line, stream) ?? []))
    offset = end
  }
  return lines
}
