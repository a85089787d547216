import { setTimeout as sleep } from 'node:timers/promises'
import { RetryableError, TerminalError } from '@hypercode/base-agent'
import type { AskModel, Question } from './ask-model.ts'
import { ModelFault } from './model-fault.ts'
import type { Patience } from './model-settings.ts'
import type { Turn } from './turn.ts'

/**
 * Asks until there is an answer: refusals that pass (429, 5xx, broken connections) are waited out, as long as the model says in
 * `Retry-After` or with growing pauses.
 * @throws {RetryableError} when patience ends, for a later attempt at the task
 * @throws {TerminalError} when the refusal will not pass
 */
export async function askPatiently(
  ask: AskModel,
  question: Question,
  patience: Patience,
  onFault: (fault: ModelFault, pauseMs: number | undefined) => Promise<void>,
): Promise<Turn> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await ask(question)
    } catch (error) {
      if (!(error instanceof ModelFault)) throw error
      const { passing, message } = error
      if (!passing) throw new TerminalError(message, undefined, { code: 'model_refused', cause: error })
      const pauseMs = error.retryAfterMs ?? growing(patience, tried)
      if (tried >= patience.tries || pauseMs > patience.pauseMaxMs) {
        await onFault(error, undefined)
        throw new RetryableError(`${message} (asked ${tried} times)`, {
          code: 'model_unavailable',
          retryAfterMs: Math.min(pauseMs, RETRY_AFTER_MAX_MS),
          cause: error,
        })
      }
      await onFault(error, pauseMs)
      await sleep(pauseMs, undefined, { signal: question.signal })
    }
  }
}

/** Twice as long each time, half of it by chance. */
function growing({ firstPauseMs, pauseMaxMs }: Patience, tried: number): number {
  const pauseMs = Math.min(pauseMaxMs, firstPauseMs * 2 ** (tried - 1))
  return pauseMs / 2 + (Math.random() * pauseMs) / 2
}

/** A model that asks for more is asked again all the same. */
const RETRY_AFTER_MAX_MS = 3_600_000
