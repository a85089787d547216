export interface FailureOptions {
  /** Stable word that retry policies look at (`nonRetryable`); default `terminal` or `retryable`. */
  readonly code?: string
  readonly cause?: unknown
}

export interface RetryOptions extends FailureOptions {
  /** Not before this many milliseconds; the task's own back-off applies when it is longer. */
  readonly retryAfterMs?: number
}

/** No retry can help: the task fails at once. `detail` is added to the message that people read. */
export class TerminalError extends Error {
  override readonly name: string = 'TerminalError'
  readonly code: string
  readonly detail: string | undefined

  constructor(message: string, detail?: string, options: FailureOptions = {}) {
    super(message, { cause: options.cause })
    this.detail = detail
    this.code = options.code ?? 'terminal'
  }
}

/**
 * The agent refuses the task, for a reason that no other attempt changes: nothing has failed, the task is not for it as things
 * are (`no model configured`). The task ends `rejected`, and people read the reason.
 */
export class RejectedError extends TerminalError {
  override readonly name: string = 'RejectedError'

  constructor(reason: string, detail?: string, options: FailureOptions = {}) {
    super(reason, detail, { code: 'rejected', ...options })
  }
}

/** Another attempt may succeed; the task's retry policy says how many there are. */
export class RetryableError extends Error {
  override readonly name: string = 'RetryableError'
  readonly code: string
  readonly retryAfterMs: number | undefined

  constructor(message: string, options: RetryOptions = {}) {
    super(message, { cause: options.cause })
    this.code = options.code ?? 'retryable'
    this.retryAfterMs = options.retryAfterMs
  }
}

/**
 * Why a running attempt was told to stop:
 * - `canceled`: a person or a policy wants it
 * - `draining`: the agent stops and its time for finishing is over; the task is handed back
 * - `attempt_timeout`: the time of this attempt is up
 * - `lease_lost`: the platform no longer counts on this attempt; nothing of it is accepted any more
 * - `fenced`: a newer incarnation of this agent instance has registered; nothing of this one is accepted any more
 * - `suspended`: the handler waits (`ctx.sleep` and its kin); it runs again when that is over
 */
export type StopReason = 'canceled' | 'draining' | 'attempt_timeout' | 'lease_lost' | 'fenced' | 'suspended'

/** The `reason` of `ctx.signal` once it is aborted, and what `ctx.step` and its kin throw from then on. */
export class AttemptStopped extends Error {
  override readonly name = 'AttemptStopped'
  readonly reason: StopReason

  constructor(reason: StopReason) {
    super(`the attempt was stopped: ${reason}`)
    this.reason = reason
  }
}

/** The platform refuses this agent for a reason that trying again does not change. */
export class AgentRefused extends Error {
  override readonly name = 'AgentRefused'
}

/** The definition of an agent is wrong; thrown where the agent is defined, with all faults at once. */
export class AgentDefinitionError extends Error {
  override readonly name = 'AgentDefinitionError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(`the agent is not well defined\n  ${faults.join('\n  ')}`)
    this.faults = faults
  }
}
