import type { ClaimedTask, CompletionReport, Wait } from '@hypercode/contracts'
import type { Attempt } from './attempt.ts'
import { RejectedError, RetryableError, TerminalError } from './errors.ts'
import type { JsonText } from './json.ts'

export interface Report {
  readonly report: CompletionReport
  /** Bytes that it takes in a request, roughly. */
  readonly bytes: number
}

type ReportedError = NonNullable<CompletionReport['error']>

export const completed = (task: ClaimedTask, output: JsonText): Report => ({
  report: { taskId: task.taskId, attempt: task.attempt, outcome: 'completed', output: output.value },
  bytes: output.bytes + ENVELOPE_BYTES,
})

export const ended = (task: ClaimedTask, outcome: 'canceled' | 'released'): Report => ({
  report: { taskId: task.taskId, attempt: task.attempt, outcome },
  bytes: ENVELOPE_BYTES,
})

export const waiting = (task: ClaimedTask, wait: Wait): Report => ({
  report: { taskId: task.taskId, attempt: task.attempt, outcome: 'waiting', wait },
  bytes: ENVELOPE_BYTES + Buffer.byteLength(JSON.stringify(wait)),
})

export const failed = (task: ClaimedTask, error: ReportedError, outcome: 'failed' | 'rejected' = 'failed'): Report => ({
  report: { taskId: task.taskId, attempt: task.attempt, outcome, error },
  bytes: ENVELOPE_BYTES + Buffer.byteLength(error.message),
})

/**
 * What is reported of a handler that has thrown, `undefined` when nothing may be written any more. A handler that was told
 * to stop and then throws, whatever it throws, has stopped.
 */
export function reportOfError(attempt: Attempt, error: unknown): Report | undefined {
  const { task, stopReason } = attempt
  if (attempt.dead.aborted) return undefined
  if (stopReason === 'canceled') return ended(task, 'canceled')
  if (stopReason === 'draining') return ended(task, 'released')
  if (attempt.wait !== undefined) return waiting(task, attempt.wait)
  if (stopReason === 'attempt_timeout') {
    return failed(task, {
      code: 'attempt_timeout',
      message: 'the attempt did not end within its time',
      retryable: true,
    })
  }
  return failed(task, toReportedError(error), error instanceof RejectedError ? 'rejected' : 'failed')
}

/** The thrown thing as the platform takes it: text that can be stored, within its bounds. */
export function toReportedError(error: unknown): ReportedError {
  if (error instanceof TerminalError) {
    const message = error.detail === undefined ? error.message : `${error.message}: ${error.detail}`
    return { code: codeOf(error.code), message: textOf(message), retryable: false }
  }
  if (error instanceof RetryableError) {
    const { retryAfterMs } = error
    return {
      code: codeOf(error.code),
      message: textOf(error.message),
      retryable: true,
      ...(retryAfterMs !== undefined && { retryAfterMs: Math.round(Math.min(Math.max(retryAfterMs, 0), 86_400_000)) }),
    }
  }
  return { code: 'handler_error', message: textOf(describe(error)), retryable: true }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return `the handler threw ${typeof error === 'string' ? `"${error}"` : typeof error}`
  if (error.name === 'Error')
    return error.message === '' ? 'the handler threw an error without a message' : error.message
  return `${error.name}: ${error.message}`
}

const codeOf = (code: string): string => (code === '' ? 'unknown' : textOf(code).slice(0, 100))
/** Without what Postgres cannot store. */
const textOf = (text: string): string => text.slice(0, MESSAGE_MAX).toWellFormed().replaceAll('\0', '\ufffd')

const MESSAGE_MAX = 8000
const ENVELOPE_BYTES = 200
