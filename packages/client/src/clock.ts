/** Signals that end a call early: the caller's own, and that of the client when it closes. */
export type GiveUps = readonly (AbortSignal | undefined)[]

/** Ends a try when its time is over or when somebody gives up, and knows which of them it was. */
export class Clock {
  readonly timeoutMs: number
  timedOut = false
  readonly #controller = new AbortController()
  readonly #giveUps: readonly AbortSignal[]
  readonly #timer: NodeJS.Timeout

  constructor(timeoutMs: number, giveUps: GiveUps) {
    this.timeoutMs = timeoutMs
    this.#giveUps = giveUps.filter((signal) => signal !== undefined)
    this.#timer = setTimeout(() => {
      this.timedOut = true
      this.#controller.abort()
    }, timeoutMs)
    for (const signal of this.#giveUps) {
      if (signal.aborted) this.#passOn()
      else signal.addEventListener('abort', this.#passOn, { once: true })
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Why somebody gave up; undefined when nobody has. */
  get givenUp(): { reason: unknown } | undefined {
    const signal = this.#giveUps.find(({ aborted }) => aborted)
    return signal === undefined ? undefined : { reason: signal.reason }
  }

  /** Takes the time limit away; giving up goes on working. */
  lift(): void {
    clearTimeout(this.#timer)
  }

  stop(): void {
    clearTimeout(this.#timer)
    for (const signal of this.#giveUps) signal.removeEventListener('abort', this.#passOn)
  }

  readonly #passOn = (): void => this.#controller.abort(this.givenUp?.reason)
}

/** Waits, or throws the reason as soon as somebody gives up. */
export async function pause(ms: number, giveUps: GiveUps): Promise<void> {
  const clock = new Clock(ms, giveUps)
  await new Promise<void>((resolve) => {
    if (clock.signal.aborted) resolve()
    else clock.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  clock.stop()
  throwIfGivenUp(giveUps)
}

/** `work`, or the reason as soon as somebody gives up; the work goes on for the others who wait for it. */
export async function unlessGivenUp<T>(work: Promise<T>, giveUps: GiveUps): Promise<T> {
  throwIfGivenUp(giveUps)
  const { promise: givenUp, reject } = Promise.withResolvers<never>()
  const stop = (): void => {
    for (const signal of giveUps) if (signal?.aborted === true) reject(signal.reason)
  }
  for (const signal of giveUps) signal?.addEventListener('abort', stop)
  try {
    return await Promise.race([work, givenUp])
  } finally {
    for (const signal of giveUps) signal?.removeEventListener('abort', stop)
  }
}

export function throwIfGivenUp(giveUps: GiveUps): void {
  for (const signal of giveUps) signal?.throwIfAborted()
}
