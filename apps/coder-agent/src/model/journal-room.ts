import { TerminalError } from '@hypercode/base-agent'

/**
 * How much room the journal of a task has left. The platform bounds it; a task that is about to fill it is told smaller answers
 * first, and ends with words before a result that was paid for cannot be kept.
 */
export class JournalRoom {
  #steps = 0
  #bytes = 0

  /** What a step has recorded. */
  add(record: unknown): void {
    this.#steps += 1
    this.#bytes += Buffer.byteLength(JSON.stringify(record))
  }

  /** Characters that the next answer of a tool may have. */
  get textMax(): number {
    return Math.round(Math.min(TEXT_MAX, Math.max(TEXT_MIN, this.#left / 40)))
  }

  /** Bytes that the next change may have here; a larger one becomes an artifact. */
  get changeMax(): number {
    return Math.round(Math.min(CHANGE_MAX_BYTES, Math.max(0, this.#left / 20)))
  }

  /** @throws {TerminalError} when another turn and its calls may not fit any more */
  assertLeft(): void {
    if (this.#steps < STEPS_MAX - TURN_STEPS && this.#left > TURN_BYTES) return
    throw new TerminalError('the task has become too long to be kept', `${this.#steps} steps, ${this.#bytes} bytes`, {
      code: 'limit_journal',
    })
  }

  get #left(): number {
    return BYTES_MAX - this.#bytes
  }
}

/** A little below what the platform takes for one task: 2000 steps with 4 MiB. */
const STEPS_MAX = 1950
const BYTES_MAX = 3_800_000
/** A turn with as many calls as it may have. */
const TURN_STEPS = 17
const TURN_BYTES = 500_000
/** With everything escaped, text and change together stay below what one step may hold. */
const TEXT_MAX = 40_000
const TEXT_MIN = 1000
const CHANGE_MAX_BYTES = 100_000
