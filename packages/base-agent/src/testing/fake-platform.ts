import { createHash } from 'node:crypto'
import { newId } from '@hypercode/contracts'
import type {
  ClaimRequest,
  ClaimedTask,
  CompletionAnswer,
  CompletionReport,
  CompletionRequest,
  ContextEntry,
  Heartbeat,
  HeartbeatAnswer,
  PlanTasks,
  RegisterAgent,
  Registration,
} from '@hypercode/contracts'
import { AppError } from '@hypercode/http'
import { canonicalJson } from '../json.ts'
import { takesWork } from '../lifecycle/lifecycle.ts'
import { FakeInstance } from './fake-instance.ts'
import { FakeTask } from './fake-task.ts'

interface Poll {
  readonly subject: string
  readonly request: ClaimRequest
  readonly answer: (tasks: ClaimedTask[]) => void
}

export interface FakeTiming {
  readonly leaseMs: number
  readonly heartbeatMs: number
}

/** The signal with which a manager hears that what it planned has ended. */
const PLANNED = 'planned tasks'

/**
 * The rules of the platform in memory: registration, leases, claims, completions. Fences and replays as the platform does;
 * retries come without back-off, so that tests do not wait.
 */
export class FakePlatform {
  readonly tenantId = newId()
  readonly tasks = new Map<string, FakeTask>()
  readonly instances = new Map<string, FakeInstance>()
  /** What the tasks of a mission share, by mission and key. */
  readonly shared = new Map<string, Map<string, ContextEntry>>()
  readonly timing: FakeTiming
  readonly #plans: { readonly manager: FakeTask; readonly planned: readonly FakeTask[] }[] = []
  readonly #claims = new Map<string, ClaimedTask[]>()
  #polls: Poll[] = []

  constructor(timing: FakeTiming) {
    this.timing = timing
  }

  register(subject: string, card: RegisterAgent): Registration {
    const instance = this.instances.get(subject) ?? new FakeInstance(subject, card)
    this.instances.set(subject, instance)
    instance.card = card
    instance.lifecycle = 'ready'
    instance.seq = 0
    this.fence(instance)
    instance.leaseEndsMs = performance.now() + this.timing.leaseMs
    return { id: instance.agentId, instanceId: instance.id, incarnation: instance.incarnation, ...this.timing }
  }

  /** What a registration of another process with the same identity does to this one. */
  fence(instance: FakeInstance): void {
    instance.incarnation += 1
    for (const task of this.#heldBy(instance)) this.#loseLease(task)
  }

  stop(instance: FakeInstance): void {
    instance.lifecycle = 'stopped'
    for (const task of this.#heldBy(instance)) this.#loseLease(task)
  }

  expectIncarnation(instance: FakeInstance, incarnation: number | undefined): void {
    if (incarnation !== undefined && incarnation !== instance.incarnation) throw new AppError('fenced')
  }

  /** The instance of a token, when it is of this incarnation. */
  current(subject: string, incarnation: number): FakeInstance {
    const instance = this.instances.get(subject)
    if (instance === undefined) throw new AppError('not_found')
    if (instance.incarnation !== incarnation || instance.lifecycle === 'stopped') throw new AppError('fenced')
    return instance
  }

  /** The task of an attempt that this instance holds. */
  held(subject: string, taskId: string, fence: { incarnation: number; attempt: number }): FakeTask {
    const instance = this.current(subject, fence.incarnation)
    const task = this.tasks.get(taskId)
    if (task === undefined) throw new AppError('not_found')
    if (task.lease?.instanceId !== instance.id || task.attempt !== fence.attempt) throw new AppError('stale_attempt')
    return task
  }

  /** Ends the attempt in the middle of an effect that must not be repeated. */
  pause(task: FakeTask): void {
    Object.assign(task.attempts.at(-1) ?? {}, { outcome: 'unknown_effect' })
    task.lease = undefined
    task.maxAttempts += 1
    task.state = 'paused'
  }

  beat(subject: string, beat: Heartbeat): HeartbeatAnswer {
    const instance = this.current(subject, beat.incarnation)
    if (beat.seq <= instance.seq) throw new AppError('conflict', { detail: 'the number of the beat does not grow' })
    const now = performance.now()
    instance.seq = beat.seq
    instance.beats.push({ ...beat, atMs: now })
    instance.leaseEndsMs = now + this.timing.leaseMs
    const reported = beat.tasks ?? []
    const holds = ({ taskId, attempt }: { taskId: string; attempt: number }): boolean => {
      const task = this.tasks.get(taskId)
      return task?.lease?.instanceId === instance.id && task.attempt === attempt
    }
    return {
      leaseMs: this.timing.leaseMs,
      lifecycle: instance.lifecycle,
      canceled: reported.filter((ref) => holds(ref) && this.tasks.get(ref.taskId)?.cancelRequested === true),
      lost: reported.filter((ref) => !holds(ref)),
    }
  }

  add(task: FakeTask): void {
    this.tasks.set(task.id, task)
    this.wake()
  }

  cancel(taskId: string): void {
    const task = this.tasks.get(taskId)
    if (task?.isOpen === true && task.state !== 'executing') task.state = 'canceled'
    else if (task !== undefined) task.cancelRequested = true
  }

  /** Resolves with work, or with none after `waitMs`, or when `gone` aborts. */
  async claim(subject: string, request: ClaimRequest, gone: AbortSignal): Promise<ClaimedTask[]> {
    this.current(subject, request.incarnation)
    const known = this.#claims.get(request.claimId)
    if (known !== undefined) return known
    const now = this.#lease(subject, request)
    if (now.length > 0) return now
    return await new Promise((resolve) => {
      const answer = (tasks: ClaimedTask[]): void => {
        clearTimeout(timer)
        gone.removeEventListener('abort', end)
        this.#polls = this.#polls.filter((one) => one !== poll)
        resolve(tasks)
      }
      const end = (): void => answer([])
      const poll: Poll = { subject, request, answer }
      const timer = setTimeout(end, request.waitMs ?? 0)
      gone.addEventListener('abort', end, { once: true })
      this.#polls.push(poll)
    })
  }

  complete(subject: string, request: CompletionRequest): CompletionAnswer {
    const instance = this.current(subject, request.incarnation)
    const results = request.results.map((report) => {
      const { taskId, attempt } = report
      return { taskId, attempt, ...this.#finish(instance, report) }
    })
    if (results.every(({ status }) => status === 'stale')) throw new AppError('stale_attempt')
    this.wake()
    return { results }
  }

  /** Queues what a manager plans, a member being its skill here, and lets the manager wait for it. */
  plan(manager: FakeTask, name: string, tasks: PlanTasks['tasks']): string[] {
    const { missionId } = manager
    const planned = tasks.map(
      ({ id, member, input }) => new FakeTask({ skill: member ?? '', input, key: id, missionId }),
    )
    for (const task of planned) this.tasks.set(task.id, task)
    this.#close(manager, {
      taskId: manager.id,
      attempt: manager.attempt,
      outcome: 'waiting',
      wait: { kind: 'signal', name, signal: PLANNED },
    })
    this.#plans.push({ manager, planned })
    this.wake()
    return planned.map(({ id }) => id)
  }

  #tellManagers(): void {
    for (const plan of this.#plans.filter(({ planned }) => planned.every(({ isOpen }) => !isOpen))) {
      this.#plans.splice(this.#plans.indexOf(plan), 1)
      const planned = plan.planned.map(({ key, state, output, error }) => ({
        key,
        state,
        output: output ?? null,
        ...(error !== undefined && { error }),
      }))
      plan.manager.signal(PLANNED, { planned })
    }
  }

  /** Ends leases that have run out, and serves polls. */
  sweep(): void {
    const now = performance.now()
    for (const instance of this.instances.values()) {
      if (instance.leaseEndsMs <= now) for (const task of this.#heldBy(instance)) this.#loseLease(task)
    }
    this.#tellManagers()
    for (const task of this.tasks.values()) task.wake(now)
    this.wake()
  }

  wake(): void {
    for (const poll of this.#polls) {
      const tasks = this.#lease(poll.subject, poll.request)
      if (tasks.length > 0) poll.answer(tasks)
    }
  }

  #lease(subject: string, { claimId, incarnation, max, skills }: ClaimRequest): ClaimedTask[] {
    const instance = this.instances.get(subject)
    const now = performance.now()
    if (instance?.incarnation !== incarnation || !takesWork(instance.lifecycle) || instance.leaseEndsMs <= now)
      return []
    const able = new Set(skills ?? instance.skills)
    const free = Math.min(max, instance.slots - this.#heldBy(instance).length)
    const due = [...this.tasks.values()].filter(
      (task) => task.state === 'queued' && task.availableAtMs <= now && able.has(task.skill),
    )
    const tasks = due.slice(0, Math.max(0, free)).map((task) => this.#begin(task, instance))
    if (tasks.length > 0) this.#claims.set(claimId, tasks)
    return tasks
  }

  #begin(task: FakeTask, { id: instanceId, incarnation }: FakeInstance): ClaimedTask {
    task.state = 'executing'
    task.attempt += 1
    task.lease = { instanceId, incarnation }
    task.attempts.push({ attempt: task.attempt, instanceId, incarnation })
    return {
      taskId: task.id,
      missionId: task.missionId,
      tenantId: this.tenantId,
      crew: 'fake',
      key: task.key,
      skill: task.skill,
      attempt: task.attempt,
      maxAttempts: task.maxAttempts,
      input: task.input,
      leaseMs: this.timing.leaseMs,
      ...(task.attemptTimeoutMs !== undefined && { attemptTimeoutMs: task.attemptTimeoutMs }),
      ...(task.error !== undefined && { previousError: task.error }),
      correlationId: task.correlationId,
      steps: [...task.steps],
    }
  }

  #finish(
    instance: FakeInstance,
    report: CompletionReport,
  ): Omit<CompletionAnswer['results'][number], 'taskId' | 'attempt'> {
    const task = this.tasks.get(report.taskId)
    if (task === undefined) return { status: 'stale' }
    const hash = createHash('sha256').update(canonicalJson(report)).digest('hex')
    if (task.outputHash === hash) return { status: 'replayed', state: task.state }
    if (task.lease?.instanceId !== instance.id || task.attempt !== report.attempt) return { status: 'stale' }
    task.outputHash = hash
    this.#close(task, report)
    return { status: 'accepted', state: task.state }
  }

  #close(task: FakeTask, { outcome, output, error, wait }: CompletionReport): void {
    const refusal = outcome === 'completed' ? task.verify?.(output) : undefined
    const told =
      refusal === undefined
        ? error && { code: error.code, message: error.message }
        : { code: 'verification_failed', message: refusal }
    task.lease = undefined
    Object.assign(task.attempts.at(-1) ?? {}, { outcome, ...(told !== undefined && { error: told }) })
    task.error = told
    if (refusal !== undefined) {
      task.maxAttempts += 1
      task.state = 'queued'
    } else if (outcome === 'released') {
      task.maxAttempts += 1
      task.state = task.cancelRequested ? 'canceled' : 'queued'
    } else if (outcome === 'waiting' && wait !== undefined) {
      task.maxAttempts += 1
      task.suspend(wait)
    } else if (outcome === 'failed') {
      const again = error?.retryable === true && task.attempt < task.maxAttempts
      task.state = again ? 'queued' : 'failed'
      task.availableAtMs = performance.now() + (error?.retryAfterMs ?? 0)
    } else if (outcome !== 'waiting') {
      task.state = outcome
      task.output = output
    }
  }

  #loseLease(task: FakeTask): void {
    task.lease = undefined
    Object.assign(task.attempts.at(-1) ?? {}, { outcome: 'lease_lost' })
    task.state = task.attempt < task.maxAttempts ? 'queued' : 'failed'
  }

  #heldBy(instance: FakeInstance): FakeTask[] {
    return [...this.tasks.values()].filter((task) => task.lease?.instanceId === instance.id)
  }

  slotsUsed(instance: FakeInstance): number {
    return this.#heldBy(instance).length
  }
}
