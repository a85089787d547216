import { createLane } from '@hypercode/db'
import type { Lane, Weights } from '@hypercode/db'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

/** `fails` is refused by name, `poison` spoils the call that it is part of, and during an `outage` every call fails. */
type Kind = 'good' | 'fails' | 'poison' | 'outage'
interface Item {
  readonly id: number
  readonly kind: Kind
}

class Outage extends Error {}

const setting = fc.record({
  lanes: fc.integer({ min: 1, max: 3 }),
  maxBatch: fc.integer({ min: 1, max: 6 }),
  maxWaiting: fc.integer({ min: 1, max: 12 }),
  bursts: fc.array(
    fc.array(
      fc.oneof(
        { weight: 8, arbitrary: fc.constant<Kind>('good') },
        { weight: 2, arbitrary: fc.constant<Kind>('fails') },
        { weight: 1, arbitrary: fc.constant<Kind>('poison') },
        { weight: 1, arbitrary: fc.constant<Kind>('outage') },
      ),
      { maxLength: 15 },
    ),
    { maxLength: 8 },
  ),
})

type Outcome = { readonly ok: number } | { readonly error: string }

interface History {
  /** Calls of `run` in the order in which they started. */
  readonly calls: readonly (readonly Item[])[]
  readonly mostInFlight: number
  readonly mostWaiting: number
  /** By item id; more than one entry would be a second settlement. */
  readonly outcomes: ReadonlyMap<number, readonly Outcome[]>
  readonly accepted: readonly Item[]
}

/** Plays the bursts against a lane; the scheduler decides what happens before what. */
async function play(
  setup: typeof setting extends fc.Arbitrary<infer T> ? T : never,
  s: fc.Scheduler,
): Promise<History> {
  const calls: Item[][] = []
  let inFlight = 0
  let mostInFlight = 0
  let mostWaiting = 0
  const outcomes = new Map<number, Outcome[]>()
  const accepted: Item[] = []
  const lane: Lane<Item, number> = createLane({
    name: 'test',
    ...setup,
    onFull: (waiting) => new Error(`full: ${waiting}`),
    mayIsolate: (error) => !(error instanceof Outage),
    run: async (items) => {
      calls.push([...items])
      inFlight += 1
      mostInFlight = Math.max(mostInFlight, inFlight)
      await s.schedule(Promise.resolve(), `run ${items.map(({ id }) => id).join()}`)
      inFlight -= 1
      if (items.some(({ kind }) => kind === 'outage')) throw new Outage('outage')
      if (items.some(({ kind }) => kind === 'poison')) throw new Error('poison')
      return items.map(({ id, kind }) => (kind === 'fails' ? new Error(`fails ${id}`) : id))
    },
  })
  let next = 0
  const note = (id: number, outcome: Outcome): void => void outcomes.set(id, [...(outcomes.get(id) ?? []), outcome])
  const submitted: Promise<void>[] = []
  const burst = (kinds: readonly Kind[]): void => {
    for (const kind of kinds) {
      const item = { id: next++, kind }
      if (lane.waiting < setup.maxWaiting) accepted.push(item)
      submitted.push(
        lane.submit(item).then(
          (ok) => note(item.id, { ok }),
          (error: unknown) => note(item.id, { error: error instanceof Error ? error.message : 'not an error' }),
        ),
      )
      mostWaiting = Math.max(mostWaiting, lane.waiting)
    }
  }
  const bursts = setup.bursts.map(async (kinds) => {
    await s.schedule(Promise.resolve(), 'burst')
    burst(kinds)
  })
  const everything = async (): Promise<void> => {
    await Promise.all(bursts)
    await Promise.all(submitted)
    await lane.idle()
  }
  await s.waitFor(everything())
  return { calls, mostInFlight, mostWaiting, outcomes, accepted }
}

// Goal: the four promises of the lane, whatever comes and in whatever order it ends.
// Method: random bursts of good, failing, poisonous and outage items; a scheduler that picks which call ends next.
describe('for any bursts and any order of events', () => {
  const always = async (check: (history: History, setup: Parameters<typeof play>[0]) => void): Promise<void> => {
    await fc.assert(
      fc.asyncProperty(setting, fc.scheduler(), async (setup, s) => check(await play(setup, s), setup)),
      { numRuns: 300, timeout: 2000 },
    )
  }

  test('L1 every item settles exactly once', async () => {
    await always(({ outcomes }, { bursts }) => {
      expect(outcomes.size).toBe(bursts.flat().length)
      for (const [id, list] of outcomes) expect(list, `item ${id}`).toHaveLength(1)
    })
  })

  test('L2 calls are bounded in number and size, and keep the order of submission', async () => {
    await always(({ calls, mostInFlight, accepted }, { lanes, maxBatch }) => {
      expect(mostInFlight).toBeLessThanOrEqual(lanes)
      for (const call of calls) {
        expect(call.length).toBeGreaterThanOrEqual(1)
        expect(call.length).toBeLessThanOrEqual(maxBatch)
      }
      const firstSeen = [...new Set(calls.flat().map(({ id }) => id))]
      expect(firstSeen).toEqual(firstSeen.toSorted((a, b) => a - b))
      expect(firstSeen.length).toBeLessThanOrEqual(accepted.length)
    })
  })

  test('L3 no more wait than allowed, and exactly those beyond are refused', async () => {
    await always(({ mostWaiting, outcomes, accepted }, { maxWaiting }) => {
      expect(mostWaiting).toBeLessThanOrEqual(maxWaiting)
      const refused = [...outcomes].filter(
        ([, [outcome]]) => outcome !== undefined && 'error' in outcome && outcome.error === `full: ${maxWaiting}`,
      )
      expect(refused.map(([id]) => id).toSorted((a, b) => a - b)).toEqual(
        [...outcomes.keys()].filter((id) => !accepted.some((item) => item.id === id)).toSorted((a, b) => a - b),
      )
    })
  })

  test('L4 an item is harmed by nothing but itself and an outage', async () => {
    await always(({ outcomes, accepted, calls }) => {
      for (const { id, kind } of accepted) {
        const [outcome] = outcomes.get(id) ?? []
        const tries = calls.filter((call) => call.some((item) => item.id === id)).length
        expect(tries, `item ${id} is tried once, or once more alone`).toBeLessThanOrEqual(2)
        if (outcome !== undefined && 'error' in outcome && outcome.error === 'outage') continue
        const expected = {
          good: { ok: id },
          fails: { error: `fails ${id}` },
          poison: { error: 'poison' },
          outage: { error: 'outage' },
        }
        expect(outcome, `item ${id}, ${kind}`).toEqual(expected[kind])
      }
      // Only items that shared a call with an outage may be lost to it.
      const near = new Set(
        calls
          .filter((call) => call.some(({ kind }) => kind === 'outage'))
          .flat()
          .map(({ id }) => id),
      )
      for (const [id, [outcome]] of outcomes)
        if (outcome !== undefined && 'error' in outcome && outcome.error === 'outage') expect(near.has(id)).toBe(true)
    })
  })
})

/** A lane whose calls end when the test says so. */
function manualLane(options: {
  lanes?: number
  maxBatch?: number
  maxWaiting?: number
  weights?: Weights<string>
  mayIsolate?: (error: unknown) => boolean
}) {
  const calls: {
    items: readonly string[]
    end: (results?: readonly (string | Error)[]) => void
    fail: (error: Error) => void
  }[] = []
  const lane = createLane<string, string>({
    name: 'manual',
    lanes: 1,
    maxBatch: 100,
    maxWaiting: 1000,
    onFull: (waiting) => new Error(`full: ${waiting}`),
    ...options,
    run: async (items) =>
      await new Promise((resolve, reject) =>
        calls.push({ items, end: (results = items) => resolve(results), fail: reject }),
      ),
  })
  return { lane, calls }
}
const turn = async (): Promise<void> => await new Promise((resolve) => setImmediate(resolve))

describe('natural batching', () => {
  test('an idle lane takes what one turn submits in one call, and what comes meanwhile in the next', async () => {
    const { lane, calls } = manualLane({})
    const first = ['a', 'b', 'c'].map(async (item) => await lane.submit(item))
    await turn()
    const second = ['d', 'e'].map(async (item) => await lane.submit(item))
    await turn()
    expect(calls.map(({ items }) => items)).toEqual([['a', 'b', 'c']])
    calls[0]?.end()
    expect(await Promise.all(first)).toEqual(['a', 'b', 'c'])
    await turn()
    expect(calls.map(({ items }) => items)).toEqual([
      ['a', 'b', 'c'],
      ['d', 'e'],
    ])
    calls[1]?.end()
    await Promise.all(second)
  })

  test('with weights, a call takes no more than it can bear, and one that is heavier goes alone', async () => {
    const weights = { of: (item: string) => item.length, maxBatch: 4, maxWaiting: 100 }
    const { lane, calls } = manualLane({ weights })
    const items = ['aa', 'bb', 'c', 'dddddd', 'e', 'f'].map(async (item) => await lane.submit(item))
    for (let call = 0; call < 4; call += 1) {
      await turn()
      calls[call]?.end()
    }
    await Promise.all(items)
    expect(calls.map((call) => call.items)).toEqual([['aa', 'bb'], ['c'], ['dddddd'], ['e', 'f']])
  })

  test('with weights, what waits is bounded by weight too, and what has left counts no more', async () => {
    const weights = { of: (item: string) => item.length, maxBatch: 4, maxWaiting: 6 }
    const { lane, calls } = manualLane({ weights })
    const items = [lane.submit('aaaa'), lane.submit('bbbb')]
    expect(lane.isFull).toBe(true)
    await expect(lane.submit('c')).rejects.toThrow('full: 2')
    await turn()
    expect([lane.waiting, lane.isFull]).toEqual([1, false])
    items.push(lane.submit('dd'))
    expect(lane.isFull).toBe(true)
    for (let call = 0; call < 3; call += 1) {
      calls[call]?.end()
      await turn()
    }
    expect(await Promise.all(items)).toEqual(['aaaa', 'bbbb', 'dd'])
    expect(lane.isFull).toBe(false)
  })

  test('a call that answers too few results harms its items and not the lane', async () => {
    const { lane, calls } = manualLane({ mayIsolate: () => false })
    const items = [lane.submit('a'), lane.submit('b')]
    await turn()
    calls[0]?.end(['only one'])
    for (const item of items) await expect(item).rejects.toThrow('1 results for 2 items')
    const next = lane.submit('c')
    await turn()
    calls[1]?.end()
    expect(await next).toBe('c')
  })

  test('idle waits for what is in flight and for what waits', async () => {
    const { lane, calls } = manualLane({ maxBatch: 1 })
    await lane.idle()
    const both = [lane.submit('a'), lane.submit('b')]
    let idle = false
    const done = lane.idle().then(() => (idle = true))
    await turn()
    calls[0]?.end()
    await turn()
    expect(idle).toBe(false)
    calls[1]?.end()
    await Promise.all([...both, done])
    expect(lane.waiting).toBe(0)
  })

  // Goal: an outage that begins while a bad batch is tried one by one costs one failed call, not one for each item.
  test('an outage ends the trying one by one', async () => {
    const { lane, calls } = manualLane({ mayIsolate: (error) => !(error instanceof Outage) })
    const items = ['a', 'b', 'c', 'd'].map(async (item) => await lane.submit(item))
    const settled = Promise.allSettled(items)
    await turn()
    calls[0]?.fail(new Error('one of them is bad'))
    await turn()
    calls[1]?.end()
    await turn()
    calls[2]?.fail(new Outage('the server is gone'))
    await turn()
    expect(calls.map((call) => call.items)).toEqual([['a', 'b', 'c', 'd'], ['a'], ['b']])
    expect((await settled).map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'rejected', 'rejected'])
  })
})
