import { newId, waitStep } from '@hypercode/contracts'
import type { TaskError } from '@hypercode/contracts'
import { createLogger } from '@hypercode/telemetry'
import type { Static, TSchema } from '@sinclair/typebox'
import { Attempt } from '../attempt.ts'
import type { Agent } from '../define-agent.ts'
import { TerminalError } from '../errors.ts'
import { workOn } from '../run-attempt.ts'
import type { ModelUsage, SharedValue } from '../task-context.ts'
import { MemoryPort } from './memory-port.ts'
import type { MemoryArtifact } from './memory-port.ts'

export interface RunTaskOptions {
  /** The first skill of the agent when absent. */
  readonly skill?: string
  /** Results of steps that an earlier attempt has recorded, by name. */
  readonly steps?: Readonly<Record<string, unknown>>
  /**
   * How waits have ended, by name: `{}` for a sleep, `{ payload: { planned } }` for a plan, `{ timedOut: false, payload }` for a signal, an
   * `ApprovalResult` for an approval. A wait that is not among them ends the
   * run: it throws an `AttemptStopped` with the reason `suspended`.
   */
  readonly waits?: Readonly<Record<string, unknown>>
  /** What the tasks of the mission share already, by key. */
  readonly context?: Readonly<Record<string, unknown>>
  readonly attempt?: number
  readonly previousError?: TaskError
  /** Artifacts of other tasks of the mission. */
  readonly artifacts?: readonly {
    readonly taskKey: string
    readonly name: string
    readonly data: string | Uint8Array
  }[]
  /** Cancels the attempt when it is aborted. */
  readonly signal?: AbortSignal
}

export interface TaskRun<Output> {
  readonly output: Output
  /** Results of the steps that ran, by name; those given by `options.steps` did not run. */
  readonly steps: Readonly<Record<string, unknown>>
  /** What the effects that were done have answered, by name. */
  readonly effects: Readonly<Record<string, unknown>>
  readonly progress: readonly { readonly fraction: number; readonly message: string | undefined }[]
  /** What the handler said by `ctx.output`. */
  readonly said: string
  /** What model calls took, each with its key, counted once per key. */
  readonly usage: readonly (ModelUsage & { readonly key: string })[]
  /** What the task has stored, by name. */
  readonly artifacts: ReadonlyMap<string, MemoryArtifact>
  /** What the tasks of the mission share in the end, by key. */
  readonly context: ReadonlyMap<string, SharedValue>
}

/**
 * Runs one attempt of an agent in this process, without platform and without HTTP, for tests of the handler. Input and output
 * are checked as always; whatever fails the attempt is thrown.
 */
export async function runTask<I extends TSchema, O extends TSchema>(
  agent: Agent<I, O>,
  input: Static<I>,
  options: RunTaskOptions = {},
): Promise<TaskRun<Static<O>>> {
  const { attempt: number = 1, steps = {}, waits = {}, artifacts = [], previousError, signal } = options
  const skill = options.skill ?? agent.card.skills[0]?.id ?? ''
  if (!agent.card.skills.some(({ id }) => id === skill)) {
    throw new TerminalError(`the agent has no skill ${skill}`, undefined, { code: 'skill_unknown' })
  }
  const attempt = new Attempt({
    taskId: newId(),
    missionId: newId(),
    tenantId: newId(),
    crew: 'test',
    key: 'task',
    skill,
    attempt: number,
    maxAttempts: number,
    input: structuredClone(input),
    leaseMs: 60_000,
    correlationId: newId(),
    steps: [
      ...Object.entries(steps).map(([name, response]) => ({ name, response })),
      ...Object.entries(waits).map(([name, response]) => ({ name: waitStep(name), response })),
    ],
  })
  const port = new MemoryPort(attempt, artifacts)
  for (const [key, value] of Object.entries(options.context ?? {})) port.shared.set(key, { value, version: 1 })
  const progress: { fraction: number; message: string | undefined }[] = []
  let said = ''
  const telling = {
    progress: {
      report: (fraction: number, message?: string): void => void progress.push({ fraction, message }),
    },
    output: { write: (text: string): void => void (said += text) },
  }
  const cancel = (): void => attempt.stop('canceled')
  if (signal?.aborted === true) cancel()
  signal?.addEventListener('abort', cancel, { once: true })
  try {
    const log = createLogger({ service: agent.card.name, level: 'silent' })
    const { value } = await workOn(attempt, { agent: agent as Agent, port, log, previousError }, telling)
    if (attempt.stopReason === 'suspended') attempt.signal.throwIfAborted()
    const { recorded, stored, effects } = port
    const usage = [...port.used.values()]
    return {
      output: value as Static<O>,
      steps: recorded,
      effects,
      progress,
      said,
      usage,
      artifacts: stored,
      context: port.shared,
    }
  } finally {
    signal?.removeEventListener('abort', cancel)
  }
}
