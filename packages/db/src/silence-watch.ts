/**
 * Tells a server that is slow from one that is gone. A limit for every statement cannot: one that a large batch can live with lets a
 * caller of a frozen server wait for as long, and then the next one in line, and a short one ends work that would have been done.
 *
 * W1 As long as any answer comes, nothing is asked and nothing is ended.
 * W2 When callers wait and none was answered for `quietMs`, a question is asked that costs the server nothing, on a connection of its own:
 *    one connection that went silent is no silence of the server.
 * W3 When neither that nor anybody else was answered within `answerMs`, everybody who waits is told so at once, and so is everybody who
 *    comes, until the same question is answered. It goes on being asked.
 * W4 Time is counted in turns of our own event loop. A process that gets no processor finds its timers overdue before it reads the answers
 *    that have come meanwhile.
 * W5 A silence that was soon over was none: somebody in between is slow. Then the next answer is waited for twice as long, lest
 *    statements that would have been answered be given up again and again: each takes its server connection with it, and a new one
 *    plans everything anew. Half of that patience is lost with every half minute without another silence.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { createPatience } from './patience.ts'

export interface SilenceWatch {
  /** Waits for `work`, at most until the server is known to be silent. Begins nothing while it is. */
  waitFor<T>(work: () => Promise<T>): Promise<T>
  /** The same for what only a server that lives can answer: a pooler hands out connections to one that is gone as well. */
  answerOf<T>(work: () => Promise<T>): Promise<T>
  /** Ends the asking. */
  stop(): void
}

export interface SilenceWatchOptions {
  /** Resolves when the server answers. Is given up by the signal. */
  readonly ask: (signal: AbortSignal) => Promise<void>
  /** True for errors that only a server that lives can have sent. */
  readonly isAnswer: (error: unknown) => boolean
  /** Default 500. */
  readonly quietMs?: number
  /** Default 1000. */
  readonly answerMs?: number
}

/** Nobody is answered. Whether what was under way has been done is open. */
export class DatabaseSilent extends Error {
  override readonly name = 'DatabaseSilent'

  constructor() {
    super('the database does not answer')
  }
}

/** W4 An interval that is late comes once, however late it is. */
const TICK_MS = 100
const PAUSE_MS = 250

export function createSilenceWatch(options: SilenceWatchOptions): SilenceWatch {
  const { ask, isAnswer, quietMs = 500, answerMs = 1000 } = options
  const waiting = new Set<(error: Error) => void>()
  const state = { quietTicks: 0, answers: 0, asking: false, silent: false, stopped: false }
  const patience = createPatience()
  let ticker: NodeJS.Timeout | undefined

  const tick = (): void => {
    if (waiting.size === 0) {
      clearInterval(ticker)
      ticker = undefined
      state.quietTicks = 0
      return
    }
    state.quietTicks += 1
    if (state.quietTicks * TICK_MS >= quietMs && !state.asking) {
      state.asking = true
      askUntilAnswered().then(rest, rest)
    }
  }

  const rest = (): void => {
    state.quietTicks = 0
    state.asking = false
  }

  const askUntilAnswered = async (): Promise<void> => {
    while (!state.stopped) {
      const wasSilent = state.silent
      state.silent = !(await isAnswered())
      if (state.silent !== wasSilent) patience.changed(state.silent)
      if (!state.silent) break
      for (const tell of [...waiting]) tell(new DatabaseSilent())
      await sleep(PAUSE_MS, undefined, { ref: false })
    }
  }

  const isAnswered = async (): Promise<boolean> => {
    const { answers } = state
    const late = new AbortController()
    let left = Math.ceil((answerMs * patience.times) / TICK_MS)
    const clock = setInterval(() => (left -= 1) === 0 && late.abort(), TICK_MS).unref()
    try {
      await Promise.race([ask(late.signal), rejectOnAbort(late.signal)])
      return true
    } catch (error) {
      return (!late.signal.aborted && isAnswer(error)) || state.answers > answers
    } finally {
      clearInterval(clock)
    }
  }

  const heard = (): void => {
    state.quietTicks = 0
    state.answers += 1
  }

  const waitFor = async <T>(work: () => Promise<T>): Promise<T> => {
    if (state.silent) throw new DatabaseSilent()
    ticker ??= setInterval(tick, TICK_MS).unref()
    const { promise: silence, reject } = Promise.withResolvers<never>()
    waiting.add(reject)
    try {
      return await Promise.race([work(), silence])
    } finally {
      waiting.delete(reject)
    }
  }

  return {
    waitFor,
    async answerOf(work) {
      try {
        const answer = await waitFor(work)
        heard()
        return answer
      } catch (error) {
        if (isAnswer(error)) heard()
        throw error
      }
    },
    stop() {
      state.stopped = true
      clearInterval(ticker)
    },
  }
}

async function rejectOnAbort(signal: AbortSignal): Promise<never> {
  await once(signal, 'abort')
  throw new DatabaseSilent()
}
