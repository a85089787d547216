/**
 * Engines and clusters know the place in a log only by its time, some to the second. A cursor is therefore the second
 * since the launch was made, and how many lines of that second were read: lines do not change their order.
 */
import type { LogPage } from './driver.ts'
import { logLine } from './log-line.ts'
import type { OutputStream } from './log-line.ts'

export interface TimedLine {
  readonly at: Date
  readonly text: string
  readonly stream: OutputStream
}

/** So many lines of one second can be told apart, and so many years of seconds: 16 million, and 17. */
const LINES_PER_SECOND = 2 ** 24

/** `2026-01-02T03:04:05.678901234Z text`; undefined for anything else. */
export function parseTimedLine(line: string, stream: OutputStream): TimedLine | undefined {
  const [, time = '', text = ''] = /^(\S+) (.*?)\r?$/s.exec(line) ?? []
  const at = new Date(time)
  return Number.isNaN(at.getTime()) || text === '' ? undefined : { at, text, stream }
}

/**
 * From when on the log must be asked for. Undefined for all of it. A second earlier than needed: the clock of whoever
 * wrote the log may round in its own way.
 */
export function askFrom(madeAt: Date, cursor: number): Date | undefined {
  const second = Math.floor(cursor / LINES_PER_SECOND)
  return second === 0 ? undefined : new Date((secondsOf(madeAt) + second - 1) * 1000)
}

/** What follows the cursor in `lines`, which are in the order in which they were written. */
export function pageOf(lines: readonly TimedLine[], madeAt: Date, cursor: number, limit: number): LogPage {
  const start = Math.floor(cursor / LINES_PER_SECOND)
  const taken: string[] = []
  let skip = cursor % LINES_PER_SECOND
  let second = 0
  let ofSecond = 0
  let next = cursor
  for (const { at, text, stream } of lines) {
    // Two streams may be some microseconds out of order, and two machines out of step.
    const now = Math.max(second, secondsOf(at) - secondsOf(madeAt))
    if (now < start) continue
    ofSecond = now === second ? ofSecond + 1 : 1
    second = now
    if (now === start && skip > 0) {
      skip -= 1
      continue
    }
    if (taken.length === limit) break
    taken.push(logLine(text, stream, at))
    next = second * LINES_PER_SECOND + ofSecond
  }
  return { lines: taken, cursor: next }
}

const secondsOf = (at: Date): number => Math.floor(at.getTime() / 1000)
