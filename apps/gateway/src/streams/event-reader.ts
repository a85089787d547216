import { createLane, isConnectionError } from '@hypercode/db'
import type { EventRow, ReadFrom } from '../store/events.ts'
import type { SseEvent } from './sse-event.ts'

/** What one subscriber wants next. */
export interface Want extends ReadFrom {
  readonly render: (row: EventRow) => SseEvent
}

/** The next events of a stream; fewer than `page` of them when there are no more at the moment. */
export interface EventReader {
  read(want: Want): Promise<readonly SseEvent[]>
  readonly page: number
  /** Statements since the start. */
  readonly statements: number
}

export interface EventReaderOptions {
  readonly name: string
  readonly load: (wants: readonly ReadFrom[], limit: number) => Promise<EventRow[][]>
  /** As many as there can be subscribers. */
  readonly maxWaiting: number
}

/** Events in one answer for one subscriber; also how much more than its buffer a slow one can hold. */
const PAGE = 100
/** Streams in one statement, so at most 10,000 events. */
const WANTS_PER_STATEMENT = 100
const STATEMENTS_AT_ONCE = 2

/**
 * One statement for all that is wanted at the moment, however many subscribers want it: those who stand at the same event of the same
 * stream share one read and one rendering. Only a read that has not begun is shared; one on its way may have looked too early.
 */
export function createEventReader({ name, load, maxWaiting }: EventReaderOptions): EventReader {
  let statements = 0
  const waiting = new Map<string, Promise<readonly SseEvent[]>>()
  const lane = createLane<Want, readonly SseEvent[]>({
    name,
    maxBatch: WANTS_PER_STATEMENT,
    lanes: STATEMENTS_AT_ONCE,
    maxWaiting,
    onFull: (count) => new Error(`${count} reads of ${name} wait`),
    mayIsolate: (error) => !isConnectionError(error),
    run: async (wants) => {
      statements += 1
      for (const want of wants) waiting.delete(placeOf(want))
      const rows = await load(wants, PAGE)
      return wants.map((want, index) => (rows[index] ?? []).map(want.render))
    },
  })

  return {
    page: PAGE,
    read(want) {
      const place = placeOf(want)
      const known = waiting.get(place)
      if (known !== undefined) return known
      const read = lane.submit(want)
      waiting.set(place, read)
      const forget = (): void => {
        if (waiting.get(place) === read) waiting.delete(place)
      }
      read.then(forget, forget)
      return read
    },
    get statements() {
      return statements
    },
  }
}

const placeOf = ({ key, after }: Want): string => `${key}/${after}`
