import type { Random } from './random.ts'

/**
 * The one source of order in a simulation. Whatever takes time is an event here; events happen one by one, at their instant, and events of
 * the same instant in an order that the seed decides. The code under test gets to know time only through what is installed below.
 */
export interface Scheduler {
  /** Milliseconds since the simulation began. */
  readonly now: number
  readonly events: number
  at(delayMs: number, label: string, act: () => void): { cancel(): void }
  /** Resolves `delayMs` later. */
  wait(delayMs: number, label: string): Promise<void>
  /** Runs the next event and everything that follows from it without time; false when there is none. */
  step(): Promise<boolean>
  /** Tells of something that belongs into the trace. */
  note(what: string): void
  /** A number over all events so far. */
  readonly digest: number
  readonly trace: readonly string[]
}

interface Entry {
  at: number
  order: number
  label: string
  act: (() => void) | undefined
}

/** Not replaced by the fake clock: an immediate comes when every promise that can settle has settled. */
const immediate = globalThis.setImmediate

export function createScheduler(random: Random, keepsTrace: boolean): Scheduler {
  const heap: Entry[] = []
  const trace: string[] = []
  let now = 0
  let events = 0
  let digest = 17

  const note = (what: string): void => {
    digest = (Math.imul(digest, 31) + Math.round(now * 1000)) | 0
    for (let index = 0; index < what.length; index += 1) digest = (Math.imul(digest, 31) + what.charCodeAt(index)) | 0
    if (keepsTrace) trace.push(`${now.toFixed(3).padStart(11)} ${what}`)
  }
  const at = (delayMs: number, label: string, act: () => void): { cancel(): void } => {
    const entry: Entry = { at: now + Math.max(0, delayMs), order: random.next(), label, act }
    push(heap, entry)
    return {
      cancel() {
        entry.act = undefined
      },
    }
  }
  return {
    get now() {
      return now
    },
    get events() {
      return events
    },
    get digest() {
      return digest
    },
    trace,
    note,
    at,
    wait: async (delayMs, label) => new Promise((resolve) => at(delayMs, label, resolve)),
    async step() {
      for (let entry = pop(heap); entry !== undefined; entry = pop(heap)) {
        if (entry.act === undefined) continue
        now = entry.at
        events += 1
        note(entry.label)
        entry.act()
        await new Promise((resolve) => immediate(resolve))
        return true
      }
      return false
    },
  }
}

const isBefore = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

function push(heap: Entry[], entry: Entry): void {
  let index = heap.push(entry) - 1
  while (index > 0) {
    const parent = (index - 1) >> 1
    if (!isBefore(entry, heap[parent] as Entry)) break
    heap[index] = heap[parent] as Entry
    index = parent
  }
  heap[index] = entry
}

function pop(heap: Entry[]): Entry | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (first === undefined || last === undefined || heap.length === 0) return first
  let index = 0
  for (;;) {
    let child = 2 * index + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1] as Entry, heap[child] as Entry)) child += 1
    if (!isBefore(heap[child] as Entry, last)) break
    heap[index] = heap[child] as Entry
    index = child
  }
  heap[index] = last
  return first
}
