import type { TaskError } from '@hypercode/contracts'
import type { Logger } from '@hypercode/telemetry'
import type { Attempt } from './attempt.ts'
import { createContext } from './create-context.ts'
import type { Telling } from './create-context.ts'
import type { Agent } from './define-agent.ts'
import { RejectedError, RetryableError, TerminalError } from './errors.ts'
import { toJson } from './json.ts'
import type { JsonText } from './json.ts'
import { OutputStream } from './output-stream.ts'
import { Progress } from './progress.ts'
import { completed, ended, reportOfError, waiting } from './report.ts'
import type { Report } from './report.ts'
import { describeFaults } from './schema-check.ts'
import type { TaskPort } from './task-port.ts'

export interface AttemptDeps {
  readonly agent: Agent
  readonly port: TaskPort
  readonly log: Logger
  readonly previousError: TaskError | undefined
}

/**
 * Works on one attempt and answers what is to be reported of it; `undefined` when nothing may be written any more.
 * Never throws: whatever the author's code does becomes a report.
 */
export async function runAttempt(attempt: Attempt, deps: AttemptDeps): Promise<Report | undefined> {
  const { port, log } = deps
  const progress = new Progress({ send: (fraction, message) => port.reportProgress(fraction, message), log })
  const output = new OutputStream({ send: (text) => port.streamOutput(text), log })
  const stopTimer = startTimer(attempt)
  let report: Report | undefined
  try {
    report = reportOfOutput(attempt, await workOn(attempt, deps, { progress, output }))
  } catch (error) {
    logEnd(attempt, error, log)
    report = reportOfError(attempt, error)
  } finally {
    clearTimeout(stopTimer)
  }
  if (!attempt.dead.aborted) await Promise.all([progress.close(), output.close()])
  attempt.settle()
  return attempt.dead.aborted ? undefined : report
}

/** The handler between the checks of what goes in and what comes out. Throws what is to be reported. */
export async function workOn(attempt: Attempt, deps: AttemptDeps, telling: Telling): Promise<JsonText> {
  const { agent } = deps
  const { input } = attempt.task
  const inputFaults = agent.inputFaults(input)
  if (inputFaults.length > 0) {
    throw new TerminalError('the input does not fit the schema of the agent', describeFaults(inputFaults), {
      code: 'input_invalid',
    })
  }
  const context = createContext(attempt, deps, telling)
  const output = outputJson(await agent.handle(context, input))
  const outputFaults = agent.outputFaults(output.value)
  if (outputFaults.length > 0) throw outputInvalid(describeFaults(outputFaults))
  return output
}

function outputJson(output: unknown): JsonText {
  try {
    return toJson(output)
  } catch (error) {
    throw outputInvalid(error instanceof Error ? error.message : String(error))
  }
}

/** An attempt that was stopped has not failed; what it threw is of interest only when it is something else. */
function logEnd({ stopReason, signal }: Attempt, error: unknown, log: Logger): void {
  if (stopReason === undefined && error instanceof RejectedError) log.warn({ reason: error.message }, 'task rejected')
  else if (stopReason === undefined) log.warn({ err: error }, 'attempt failed')
  else if (error === signal.reason || (error instanceof Error && error.cause === signal.reason)) {
    log.info({ reason: stopReason }, 'attempt stopped')
  } else log.info({ reason: stopReason, err: error }, 'attempt stopped')
}

/** Another try may do better, above all with a model behind it: it is told what was wrong. */
const outputInvalid = (faults: string): RetryableError =>
  new RetryableError(`the output does not fit the schema of the agent: ${faults}`, { code: 'output_invalid' })

/** A handler that was told to stop for a cancel, or that waits, has stopped, also when it found its way to a result. */
function reportOfOutput(attempt: Attempt, output: JsonText): Report {
  if (attempt.stopReason === 'canceled') return ended(attempt.task, 'canceled')
  return attempt.wait === undefined ? completed(attempt.task, output) : waiting(attempt.task, attempt.wait)
}

function startTimer(attempt: Attempt): NodeJS.Timeout | undefined {
  const { attemptTimeoutMs } = attempt.task
  if (attemptTimeoutMs === undefined) return undefined
  return setTimeout(() => attempt.stop('attempt_timeout'), Math.min(attemptTimeoutMs, TIMER_MAX_MS)).unref()
}

const TIMER_MAX_MS = 2 ** 31 - 1
