import type { Artifact, TaskError } from '@hypercode/contracts'
import type { Logger } from '@hypercode/telemetry'
import type { Jsonified } from './json.ts'

export interface StepOptions {
  /** What the step depends on. Another request under the same name is a programming error and fails the task. */
  readonly request?: unknown
}

export interface StepRun {
  /** `<taskId>:<step name>`: the same for every attempt, for services that take idempotency keys. */
  readonly idempotencyKey: string
  readonly signal: AbortSignal
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

  /** `<taskId>:<step name>`, see `StepRun`. */
  idempotencyKey(stepName: string): string

  /**
   * Tells people how far the attempt is, 0 to 1. Call it as often as you like: about two a second are sent, the last one
   * always. It never fails the task, unless the attempt has lost its lease.
   */
  progress(fraction: number, message?: string): Promise<void>

  /** Stores an artifact of the task, up to 8 MiB; the same name again replaces it. Objects are stored as JSON. */
  artifact(name: string, data: string | Uint8Array | object, mediaType?: string): Promise<Artifact>

  /** Reads an artifact that a task of this mission has stored. A missing one is a `TerminalError` (`artifact_missing`). */
  readArtifact(taskKey: string, name: string): Promise<StoredArtifact>

  /** The other tasks of the mission. */
  readonly tasks: {
    /** Every artifact that the tasks of this mission have stored so far. */
    artifacts(): Promise<readonly Artifact[]>
  }
}
