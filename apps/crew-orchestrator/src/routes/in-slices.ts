import { setImmediate as nextTurn } from 'node:timers/promises'

/** To plan this many missions takes some milliseconds. */
const SLICE = 250

/**
 * Begins the work for many items, a slice a turn of the event loop: others are heard in between, and Postgres stores the first ones while
 * the next are planned. Five requests of 1,000 missions at once held the process for 130 ms before the first of them was on its way.
 */
export async function beginInSlices<I, O>(
  items: readonly I[],
  begin: (item: I) => Promise<O>,
): Promise<PromiseSettledResult<O>[]> {
  const slices: Promise<PromiseSettledResult<O>[]>[] = []
  for (let at = 0; at < items.length; at += SLICE) {
    if (at > 0) await nextTurn()
    slices.push(Promise.allSettled(items.slice(at, at + SLICE).map(begin)))
  }
  return (await Promise.all(slices)).flat()
}
