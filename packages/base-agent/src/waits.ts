import { StepName, WAIT_MAX_MS, waitStep } from '@hypercode/contracts'
import type { ClaimedTask, PlannedResult, Wait } from '@hypercode/contracts'
import type { Attempt } from './attempt.ts'
import { TerminalError } from './errors.ts'
import { toJson } from './json.ts'
import type { TaskPort } from './task-port.ts'
import type { ApprovalResult, SignalResult, TaskContext } from './task-context.ts'

/**
 * Waits of one attempt. The platform journals how a wait ended, so the handler that runs again finds it and goes on.
 * - W1: a wait that is over is not waited for again.
 * - W2: otherwise the attempt ends here, whatever the handler makes of what it is thrown; nothing is begun any more.
 * - W3: a name is waited for once in an attempt.
 */
export interface Waits {
  readonly sleep: TaskContext['sleep']
  readonly waitForSignal: TaskContext['waitForSignal']
  readonly approval: TaskContext['approval']
  readonly plan: TaskContext['plan']
  readonly results: TaskContext['results']
}

export function createWaits(attempt: Attempt, port: Pick<TaskPort, 'assertLive' | 'planTasks'>): Waits {
  const begun = new Set<string>()
  const over = async (wait: Wait): Promise<unknown> => {
    begin(wait.name, begun) // W3
    const record = stepOf(attempt.task, wait.name)
    if (record !== undefined) return record.response // W1
    return attempt.suspend(wait) // W2
  }
  return {
    sleep: async (name, ms) => {
      await over({ kind: 'timer', name, delayMs: waitMs(name, ms) })
    },
    waitForSignal: async (name, { signal = name, timeoutMs } = {}) => {
      const wait = { kind: 'signal', name, signal } as const
      const result = await over(timeoutMs === undefined ? wait : { ...wait, timeoutMs: waitMs(name, timeoutMs) })
      return result as SignalResult
    },
    approval: async (name, { data, deadlineMs, escalate, ...terms }) => {
      const result = await over({
        kind: 'approval',
        name,
        ...terms,
        ...(data === undefined ? {} : { data: toJson(data).value }),
        ...(deadlineMs === undefined ? {} : { deadlineMs: waitMs(name, deadlineMs) }),
        ...(escalate === undefined ? {} : { escalate: { ...escalate, afterMs: waitMs(name, escalate.afterMs) } }),
      })
      return result as ApprovalResult
    },
    plan: async (name, tasks) => {
      begin(name, begun) // W3
      const record = stepOf(attempt.task, name)
      if (record !== undefined) return plannedOf(record.response) ?? [] // W1
      attempt.signal.throwIfAborted()
      port.assertLive()
      await port.planTasks(name, tasks)
      return attempt.leave() // W2
    },
    results: () => attempt.task.steps.flatMap((step) => plannedOf(step.response) ?? []),
  }
}

/** What a step says of planned tasks; undefined when it is about something else. */
function plannedOf(response: unknown): readonly PlannedResult[] | undefined {
  const { planned } = ((response as { payload?: unknown } | null)?.payload ?? {}) as {
    planned?: readonly PlannedResult[]
  }
  return planned
}

const stepOf = ({ steps }: ClaimedTask, name: string): ClaimedTask['steps'][number] | undefined =>
  steps.find((step) => step.name === waitStep(name))

const NAME = new RegExp(StepName.pattern ?? '')

function begin(name: string, begun: Set<string>): void {
  if (name.length > (StepName.maxLength ?? 200) || !NAME.test(name)) {
    throw new TerminalError(`"${name}" cannot name a wait`, 'use letters, digits, blanks and . _ - # / [ ]', {
      code: 'wait_invalid',
    })
  }
  if (begun.has(name)) {
    throw new TerminalError(`"${name}" was waited for twice in one attempt`, 'give every wait a name of its own', {
      code: 'wait_repeated',
    })
  }
  begun.add(name)
}

/** Whole milliseconds, rounded up: no wait is shorter than was asked for. */
function waitMs(name: string, ms: number): number {
  if (ms >= 0 && ms <= WAIT_MAX_MS) return Math.ceil(ms)
  throw new TerminalError(`the wait "${name}" cannot last ${ms} ms`, `0 to ${WAIT_MAX_MS}`, { code: 'wait_invalid' })
}
