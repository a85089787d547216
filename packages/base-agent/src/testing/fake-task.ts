import { newId } from '@hypercode/contracts'
import type { Artifact, CompletionReport, StepRecord, Task, TaskError, TaskState } from '@hypercode/contracts'
import type { ModelUsage } from '../task-context.ts'

/** A task to be queued at the fake. */
export interface QueuedTask {
  readonly skill: string
  readonly input?: unknown
  /** Default 3. */
  readonly maxAttempts?: number
  readonly key?: string
  readonly missionId?: string
  readonly correlationId?: string
  readonly attemptTimeoutMs?: number
}

export interface ProgressPoint {
  readonly fraction: number
  readonly message?: string
  readonly atMs: number
}

/** A piece of what the handler said by `ctx.output`. */
export interface OutputPiece {
  readonly text: string
  readonly attempt: number
  readonly atMs: number
}

export interface AttemptRecord {
  readonly attempt: number
  readonly instanceId: string
  readonly incarnation: number
  outcome?: CompletionReport['outcome'] | 'lease_lost'
  error?: TaskError
}

export interface FakeLease {
  readonly instanceId: string
  readonly incarnation: number
}

/** A task as the fake knows it. */
export class FakeTask {
  readonly id = newId()
  readonly missionId: string
  readonly key: string
  readonly skill: string
  readonly input: unknown
  readonly correlationId: string
  readonly attemptTimeoutMs: number | undefined
  readonly createdAt = new Date().toISOString()
  readonly steps: StepRecord[] = []
  readonly progress: ProgressPoint[] = []
  readonly said: OutputPiece[] = []
  /** What model calls took, by key; the first report of a key counts. */
  readonly usage = new Map<string, ModelUsage>()
  readonly attempts: AttemptRecord[] = []
  readonly artifacts = new Map<string, { readonly artifact: Artifact; readonly bytes: Buffer }>()
  maxAttempts: number
  state: TaskState = 'queued'
  attempt = 0
  availableAtMs = 0
  cancelRequested = false
  lease: FakeLease | undefined
  output: unknown
  outputHash: string | undefined
  error: TaskError | undefined

  constructor(task: QueuedTask) {
    this.skill = task.skill
    this.input = task.input ?? {}
    this.maxAttempts = task.maxAttempts ?? 3
    this.key = task.key ?? 'task'
    this.missionId = task.missionId ?? newId()
    this.correlationId = task.correlationId ?? newId()
    this.attemptTimeoutMs = task.attemptTimeoutMs
  }

  get isOpen(): boolean {
    return this.state === 'queued' || this.state === 'executing'
  }

  view(): Task {
    return {
      id: this.id,
      missionId: this.missionId,
      key: this.key,
      state: this.state,
      skill: this.skill,
      priority: 0,
      attempt: this.attempt,
      maxAttempts: this.maxAttempts,
      input: this.input,
      ...(this.output !== undefined && { output: this.output }),
      ...(this.error !== undefined && { error: this.error }),
      createdAt: this.createdAt,
      version: 1,
    }
  }
}
