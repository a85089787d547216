/**
 * Natural batching. While a batch is in flight, new items gather; as soon as a lane is free it takes all that wait, up to `maxBatch`,
 * into one call of `run`. No timers: an idle lane answers at once, a busy one works in large groups.
 *
 * L1 Every submitted item settles exactly once.
 * L2 At most `lanes` calls of `run` are in flight, each with 1..maxBatch items, in the order of submission.
 * L3 At most `maxWaiting` items wait; one more is refused by `onFull`. With `weights`, neither a batch nor what waits grows beyond its
 *    weight either, except by its first item: no item is too heavy to go alone.
 * L4 One bad item harms no other: when a batch fails for a reason that lies in an item, its items are tried one by one.
 */
export interface LaneOptions<I, O> {
  name: string
  maxBatch: number
  lanes: number
  maxWaiting: number
  weights?: Weights<I>
  /** Answers one result per item, in order. A result that is an Error rejects its item alone. */
  run: (items: readonly I[]) => Promise<readonly (O | Error)[]>
  /** Makes the error for an item that finds the lane full. */
  onFull: (waiting: number) => Error
  /** False when the error lies outside of the items (a lost server), so that trying them one by one would only add load. */
  mayIsolate?: (error: unknown) => boolean
}

/** For items of unequal size; in a unit of the lane's own, such as characters. */
export interface Weights<I> {
  of: (item: I) => number
  maxBatch: number
  maxWaiting: number
}

export interface Lane<I, O> {
  submit(item: I): Promise<O>
  readonly waiting: number
  /** Calls of `run` that have not ended. */
  readonly inFlight: number
  /** True when one more item would be refused, whatever its weight. */
  readonly isFull: boolean
  /** Resolves when nothing waits and nothing is in flight. */
  idle(): Promise<void>
}

interface Entry<I, O> {
  item: I
  weight: number
  resolve: (value: O) => void
  reject: (error: unknown) => void
}

export function createLane<I, O>(options: LaneOptions<I, O>): Lane<I, O> {
  const { weights, maxBatch, maxWaiting } = options
  let queue: Entry<I, O>[] = []
  let queueWeight = 0
  let inFlight = 0
  const idlers: (() => void)[] = []

  const isFull = (): boolean =>
    queue.length >= maxWaiting || (weights !== undefined && queueWeight >= weights.maxWaiting)

  const submit = (item: I): Promise<O> => {
    if (isFull()) return Promise.reject(options.onFull(queue.length))
    const weight = weights?.of(item) ?? 0
    queueWeight += weight
    return new Promise<O>((resolve, reject) => {
      queue.push({ item, weight, resolve, reject })
      // One microtask later all that this turn of the event loop submits is in the queue.
      if (queue.length === 1) queueMicrotask(pump)
    })
  }

  const pump = (): void => {
    while (inFlight < options.lanes && queue.length > 0) {
      const batch = takeBatch()
      inFlight += 1
      settle(batch).then(land, land)
    }
  }

  const takeBatch = (): Entry<I, O>[] => {
    let count = 0
    let weight = 0
    for (const entry of queue) {
      const overweight = weights !== undefined && weight + entry.weight > weights.maxBatch
      if (count === maxBatch || (count > 0 && overweight)) break
      count += 1
      weight += entry.weight
    }
    const batch = queue.slice(0, count)
    queue = queue.slice(count)
    queueWeight -= weight
    return batch
  }

  const land = (): void => {
    inFlight -= 1
    pump()
    if (inFlight === 0 && queue.length === 0) for (const done of idlers.splice(0)) done()
  }

  /** Never rejects: every outcome goes to the items' own promises. Answers the error when that lies outside of the items. */
  const settle = async (batch: readonly Entry<I, O>[]): Promise<{ error: unknown } | undefined> => {
    try {
      const results = await options.run(batch.map((entry) => entry.item))
      if (results.length !== batch.length)
        throw new Error(`lane ${options.name}: ${results.length} results for ${batch.length} items`)
      batch.forEach((entry, index) => {
        const result = results[index] as O | Error
        if (result instanceof Error) entry.reject(result)
        else entry.resolve(result)
      })
      return undefined
    } catch (error) {
      const outside = !(options.mayIsolate?.(error) ?? true)
      if (batch.length > 1 && !outside) return await isolate(batch)
      for (const entry of batch) entry.reject(error)
      return outside ? { error } : undefined
    }
  }

  const isolate = async (batch: readonly Entry<I, O>[]): Promise<{ error: unknown } | undefined> => {
    for (const [index, entry] of batch.entries()) {
      const outside = await settle([entry])
      if (outside === undefined) continue
      // The server went away meanwhile: the others would all wait for it in vain, one after another.
      for (const left of batch.slice(index + 1)) left.reject(outside.error)
      return outside
    }
    return undefined
  }

  return {
    submit,
    get waiting() {
      return queue.length
    },
    get inFlight() {
      return inFlight
    },
    get isFull() {
      return isFull()
    },
    idle: () => (inFlight === 0 && queue.length === 0 ? Promise.resolve() : new Promise((done) => idlers.push(done))),
  }
}
