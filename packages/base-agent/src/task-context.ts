import type { Artifact, PlanTasks, PlannedResult, TaskError } from '@hypercode/contracts'
import type { Logger } from '@hypercode/telemetry'
import type { Jsonified } from './json.ts'

export interface StepOptions {
  /** What the step depends on. Another request under the same name is a programming error and fails the task. */
  readonly request?: unknown
}

export interface EffectOptions {
  /** Doing it again under its `idempotencyKey` changes nothing, because the other side sees to that. */
  readonly idempotent: boolean
  /** What the effect depends on. Another request under the same name is a programming error and fails the task. */
  readonly request?: unknown
}

export interface StepRun {
  /** `<taskId>:<step name>`: the same for every attempt, for services that take idempotency keys. */
  readonly idempotencyKey: string
  readonly signal: AbortSignal
}

/** What one call of a model took. */
export interface ModelUsage {
  /** Names the call within its task, up to 200 characters. */
  readonly key?: string
  readonly model: string
  readonly inputTokens: number
  readonly outputTokens: number
  readonly usd: number
}

/** An artifact of the mission with its bytes. */
export interface StoredArtifact {
  readonly name: string
  readonly taskKey: string
  readonly mediaType: string
  readonly bytes: Buffer
  text(): string
  /** @throws {SyntaxError} when it is not JSON */
  json(): unknown
}

/** How a wait for a signal ended. */
export type SignalResult =
  | { readonly timedOut: false /** What the signal brought; null when nothing. */; readonly payload: unknown }
  | { readonly timedOut: true }

/** A task as a manifest writes it. */
export type PlannableTask = PlanTasks['tasks'][number]

/** Something that the tasks of a mission share. */
export interface SharedValue {
  readonly value: unknown
  /** Grows with every write. */
  readonly version: number
}

/** What people are asked. */
export interface ApprovalRequest {
  readonly title: string
  /** What is to be approved; whoever decides may change it. */
  readonly data?: unknown
  /** Ids or names of API clients; everybody who may decide when left out. */
  readonly approvers?: string[]
  /** So many of them must approve, default 1; one rejection is enough. */
  readonly quorum?: number
  readonly deadlineMs?: number
  /** What the deadline decides; default reject. */
  readonly onTimeout?: 'reject' | 'approve'
  /** Who may decide as well when it takes that long. */
  readonly escalate?: { readonly afterMs: number; readonly approvers: string[] }
}

/** What people have decided. */
export interface ApprovalResult {
  readonly approvalId: string
  readonly approved: boolean
  /** The data as it was approved, changed or not. */
  readonly data: unknown
  /** API clients who decided; nobody when the deadline did. */
  readonly by: readonly string[]
  readonly comment: string | null
  readonly timedOut: boolean
}

/** What a handler can do and know while it works on one attempt of one task. */
export interface TaskContext {
  readonly taskId: string
  readonly missionId: string
  /** Id of the task in the crew manifest, with `[n]` for an element of `forEach`. */
  readonly key: string
  /** The skill that the task asks for, one of those that the agent names. */
  readonly skill: string
  /** Number of this attempt, from 1. */
  readonly attempt: number
  readonly correlationId: string
  /** Why the attempt before this one failed; what was wrong with its output stands in the message. */
  readonly previousError: TaskError | undefined
  /** Aborted when the attempt shall stop; its `reason` is an `AttemptStopped`. */
  readonly signal: AbortSignal
  /** Every line carries mission, task, attempt and correlation id. */
  readonly log: Logger

  /**
   * Runs `work` once per task and keeps its result: a later attempt gets the recorded result and does not run it again.
   * An attempt that ends in the middle of `work` leaves no record, so `work` may run more than once; give
   * `idempotencyKey` to whatever has effects outside. The result is JSON, `undefined` becomes null.
   */
  step<T>(name: string, work: (run: StepRun) => T | Promise<T>, options?: StepOptions): Promise<Jsonified<T>>

  /**
   * Does something to the world outside, and writes it down before and after. One that is done is not done again: a later attempt gets its
   * answer. One that an attempt was cut off in, or that threw, is done again by the next if it is `idempotent`; otherwise nobody knows
   * whether it has happened, and the task is paused until a person says so. The answer is JSON of at most 64 Ki characters.
   */
  effect<T>(name: string, options: EffectOptions, work: (run: StepRun) => T | Promise<T>): Promise<Jsonified<T>>

  /** `<taskId>:<step name>`, see `StepRun`. */
  idempotencyKey(stepName: string): string

  /**
   * Sleeps for a time, of any length, without a slot or a process: the attempt ends here, and when the time has come the handler runs
   * again from its beginning, finds its steps done and this call answered. It costs none of the attempts that the retry policy gives.
   * So everything before it that shall not happen again stands in steps. A name is waited for once.
   */
  readonly sleep: (name: string, ms: number) => Promise<void>

  /**
   * Waits for a signal of the mission (`POST /v1/missions/{id}:signal`) as `sleep` does for a time; `signal` is its name, that of the
   * wait when left out. A signal that came before is not lost, and each signal ends one wait.
   */
  readonly waitForSignal: (
    name: string,
    options?: { readonly signal?: string; readonly timeoutMs?: number },
  ) => Promise<SignalResult>

  /**
   * Asks people and waits for their decision as `sleep` waits for a time; `/v1/approvals` is where they find it. What follows from a
   * rejection is for the handler to say.
   */
  readonly approval: (name: string, request: ApprovalRequest) => Promise<ApprovalResult>

  /**
   * Tells people how far the attempt is, 0 to 1. Call it as often as you like: about two a second are sent, the last one
   * always. It never fails the task, unless the attempt has lost its lease.
   */
  progress(fraction: number, message?: string): Promise<void>

  /**
   * Shows people what is said, as it comes: it becomes events of the mission, in order, gathered for about 200 ms. Call it as
   * often as you like. It never fails the task, unless the attempt has lost its lease: without the platform, text is left out.
   */
  output(text: string): Promise<void>

  /**
   * Counts what one call of a model took, once per key, also when the report is repeated. Without a key it is named after the
   * running step, or after its place in the handler, so call it in the same order in every attempt. A wrong number is a
   * `TerminalError` (`usage_invalid`).
   */
  usage(usage: ModelUsage): Promise<void>

  /** Stores an artifact of the task, up to 8 MiB; the same name again replaces it. Objects are stored as JSON. */
  artifact(name: string, data: string | Uint8Array | object, mediaType?: string): Promise<Artifact>

  /** Reads an artifact that a task of this mission has stored. A missing one is a `TerminalError` (`artifact_missing`). */
  readArtifact(taskKey: string, name: string): Promise<StoredArtifact>

  /**
   * For tasks of the manager of a hierarchical crew: plans tasks into the running mission, written as in a manifest, and waits for them as
   * `sleep` does for a time. Answers how each has ended; one that failed has failed nothing else. At most 100 in one call.
   */
  plan(name: string, tasks: readonly PlannableTask[]): Promise<readonly PlannedResult[]>

  /** How the tasks of all plans of this task have ended. */
  results(): readonly PlannedResult[]

  /** What the tasks of the mission share. Whoever writes gives a new version; what must not be lost names the one that it replaces. */
  readonly context: {
    /** Undefined when nothing was written under this key. */
    get(key: string): Promise<SharedValue | undefined>
    /**
     * Writes JSON of up to 256 Ki characters and answers its version. With `ifVersion` only while that version is there (0: none yet),
     * otherwise it throws a `TerminalError` (`version_mismatch`) that can be caught: read again, and try again.
     */
    set(key: string, value: unknown, options?: { readonly ifVersion?: number }): Promise<number>
  }

  /** The other tasks of the mission. */
  readonly tasks: {
    /** Every artifact that the tasks of this mission have stored so far. */
    artifacts(): Promise<readonly Artifact[]>
  }
}
