import type { ClaimedTask, Wait } from '@hypercode/contracts'
import { AttemptStopped } from './errors.ts'
import type { StopReason } from './errors.ts'

/** One attempt of one task while it runs here. Knows whether it shall stop, and whether it may still write. */
export class Attempt {
  readonly task: ClaimedTask
  readonly #stopping = new AbortController()
  readonly #dead = new AbortController()
  #settled = false
  #wait: Wait | undefined

  constructor(task: ClaimedTask) {
    this.task = task
  }

  /** What the author's code gets as `ctx.signal`. */
  get signal(): AbortSignal {
    return this.#stopping.signal
  }

  /** Aborted as soon as nothing of this attempt is accepted any more: from then on it writes nothing. */
  get dead(): AbortSignal {
    return this.#dead.signal
  }

  /** The first reason for which it was told to stop. */
  get stopReason(): StopReason | undefined {
    const reason: unknown = this.#stopping.signal.reason
    return reason instanceof AttemptStopped ? reason.reason : undefined
  }

  /** What its handler waits for; set when it was stopped for that. */
  get wait(): Wait | undefined {
    return this.stopReason === 'suspended' ? this.#wait : undefined
  }

  /** The handler asks for something that takes its time: the attempt ends, and another one goes on. */
  suspend(wait: Wait): never {
    this.#dead.signal.throwIfAborted()
    this.#stopping.signal.throwIfAborted()
    this.#wait = wait
    this.stop('suspended')
    throw this.#stopping.signal.reason
  }

  /** The platform has ended the attempt itself, with what it took from it last: nothing more is said of it. */
  leave(): never {
    const stopped = new AttemptStopped('suspended')
    this.#dead.abort(stopped)
    this.#stopping.abort(stopped)
    throw stopped
  }

  get settled(): boolean {
    return this.#settled
  }

  /** The handler has ended; what it gave is on its way and cannot be stopped any more. */
  settle(): void {
    this.#settled = true
  }

  stop(reason: StopReason): void {
    const stopped = new AttemptStopped(reason)
    if (reason === 'lease_lost' || reason === 'fenced') this.#dead.abort(stopped)
    if (!this.#settled) this.#stopping.abort(stopped)
  }
}
