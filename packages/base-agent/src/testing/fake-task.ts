import { newId, waitStep } from '@hypercode/contracts'
import type {
  Artifact,
  CompletionReport,
  Effect,
  StepRecord,
  Task,
  TaskError,
  TaskState,
  Wait,
} from '@hypercode/contracts'
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
  /** Like `verify` in a manifest: why an output does not pass, or nothing; the next attempt is told. */
  readonly verify?: (output: unknown) => string | undefined
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
  outcome?: CompletionReport['outcome'] | 'lease_lost' | 'unknown_effect'
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
  readonly verify: QueuedTask['verify']
  readonly createdAt = new Date().toISOString()
  readonly steps: StepRecord[] = []
  readonly progress: ProgressPoint[] = []
  readonly said: OutputPiece[] = []
  /** What model calls took, by key; the first report of a key counts. */
  readonly usage = new Map<string, ModelUsage>()
  /** What it does outside, by name. */
  readonly effects = new Map<string, Effect>()
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
  /** What it waits for, and until when. */
  wait: { readonly order: Wait; readonly untilMs: number } | undefined
  /** Signals that nobody has waited for yet. */
  readonly #kept: { readonly name: string; readonly payload: unknown }[] = []

  constructor(task: QueuedTask) {
    this.skill = task.skill
    this.input = task.input ?? {}
    this.maxAttempts = task.maxAttempts ?? 3
    this.key = task.key ?? 'task'
    this.missionId = task.missionId ?? newId()
    this.correlationId = task.correlationId ?? newId()
    this.attemptTimeoutMs = task.attemptTimeoutMs
    this.verify = task.verify
  }

  get isOpen(): boolean {
    return ['queued', 'executing', 'waiting', 'input_required'].includes(this.state)
  }

  /** Waits, unless a kept signal ends the wait at once. */
  suspend(order: Wait): void {
    this.state = order.kind === 'approval' ? 'input_required' : 'waiting'
    const delayMs =
      order.kind === 'timer' ? order.delayMs : order.kind === 'signal' ? (order.timeoutMs ?? Infinity) : Infinity
    this.wait = { order, untilMs: performance.now() + delayMs }
    const at = this.#kept.findIndex(({ name }) => order.kind === 'signal' && order.signal === name)
    if (at !== -1) this.#endWait({ timedOut: false, payload: this.#kept.splice(at, 1)[0]?.payload })
  }

  signal(name: string, payload: unknown): void {
    if (this.wait?.order.kind === 'signal' && this.wait.order.signal === name)
      this.#endWait({ timedOut: false, payload })
    else this.#kept.push({ name, payload })
  }

  /** Decides what the task waits for. Throws when it asks nobody. */
  decide(decision: { approved: boolean; data?: unknown; comment?: string }): void {
    const { wait } = this
    if (wait?.order.kind !== 'approval') throw new Error(`task ${this.id} waits for no approval`)
    const { approved, data = wait.order.data ?? null, comment = null } = decision
    this.#endWait({ approvalId: newId(), approved, data, by: ['test'], comment, timedOut: false })
  }

  /** Ends a wait whose time has come. */
  wake(nowMs: number): void {
    if (this.wait === undefined || this.state !== 'waiting' || this.wait.untilMs > nowMs) return
    this.#endWait({ timedOut: this.wait.order.kind === 'signal' })
  }

  #endWait(response: unknown): void {
    if (this.wait === undefined) return
    this.steps.push({ name: waitStep(this.wait.order.name), response })
    this.wait = undefined
    this.state = 'queued'
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
