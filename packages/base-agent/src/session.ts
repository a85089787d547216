import type { ClaimedTask, HeartbeatAnswer, Lifecycle, Registration } from '@hypercode/contracts'
import type { HyperClient } from '@hypercode/client'
import { childTraceparent, runWithContext } from '@hypercode/telemetry'
import type { Logger } from '@hypercode/telemetry'
import type { AgentMetrics } from './agent-metrics.ts'
import { Attempt } from './attempt.ts'
import { pause } from './backoff.ts'
import { claimLoop } from './claim-loop.ts'
import type { ClaimLoopOptions } from './claim-loop.ts'
import { Completer } from './completer.ts'
import type { Agent } from './define-agent.ts'
import type { Lease } from './heartbeat/lease.ts'
import { startHeartbeat } from './heartbeat/start-heartbeat.ts'
import type { Heartbeat } from './heartbeat/start-heartbeat.ts'
import type { WorkerSettings } from './heartbeat/messages.ts'
import { createHttpPort } from './http-port.ts'
import { announceDrain, deregister } from './leave-platform.ts'
import { asksForWork } from './lifecycle/lifecycle.ts'
import { ended } from './report.ts'
import type { Report } from './report.ts'
import { runAttempt } from './run-attempt.ts'
import type { Slots } from './slots.ts'

export interface SessionOptions {
  readonly agent: Agent
  readonly client: HyperClient
  readonly registration: Registration
  readonly lease: Lease
  readonly slots: Slots
  readonly worker: WorkerSettings
  readonly claimWaitMs: number
  readonly log: Logger
  readonly metrics: AgentMetrics
}

/** How the time of one incarnation ended. */
export type SessionEnd = 'drained' | 'lost' | 'fenced'

interface Running {
  readonly attempt: Attempt
  readonly done: Promise<void>
}

/**
 * The time of one incarnation: from a registration until the agent leaves, loses its lease, or is fenced.
 * - N1: once the lease is over nothing is written, every attempt is told, and no new one begins.
 * - N2: an attempt is reported to the heartbeat before its handler runs: a handler that never yields is in the beats.
 */
export class Session {
  readonly #options: SessionOptions
  readonly #completer: Completer
  readonly #heartbeat: Heartbeat
  readonly #running = new Map<string, Running>()
  readonly #closing = new AbortController()
  readonly #dead = new AbortController()
  readonly #end = Promise.withResolvers<SessionEnd>()
  readonly #claiming: Promise<void>
  #allowed = Promise.withResolvers<void>()
  #lifecycle: Lifecycle = 'ready'
  #announcing: NodeJS.Timeout | undefined

  constructor(options: SessionOptions) {
    const { client, registration, lease, log, slots, metrics } = options
    const { incarnation } = registration
    this.#options = options
    const onFenced = (): void => this.#over('fenced', 'a write was refused')
    this.#completer = new Completer({
      client,
      incarnation,
      lease,
      dead: this.#dead.signal,
      log,
      onFenced,
      onBatch: (size) => metrics.completionBatch(size),
    })
    this.#heartbeat = startHeartbeat({
      lease,
      settings: options.worker,
      log,
      onAnswer: (answer) => this.#onAnswer(answer),
      onOver: (state, detail) => this.#over(state, detail),
    })
    this.#allowed.resolve()
    this.#claiming = this.#claim({
      client,
      incarnation,
      lease,
      slots,
      waitMs: options.claimWaitMs,
      closing: this.#closing.signal,
      log,
      allowed: () => this.#allowed.promise,
      reporting: () => this.#completer.begun,
      start: (tasks) => this.#start(tasks),
      giveBack: (tasks) => this.#giveBack(tasks),
      onFenced,
    })
  }

  /** Resolves when this incarnation is over. */
  get ended(): Promise<SessionEnd> {
    return this.#end.promise
  }

  get lifecycle(): Lifecycle {
    return this.#lifecycle
  }

  /** Takes no new work, lets attempts finish for up to `drainMs`, hands back what is left, and deregisters. */
  async drain(drainMs: number): Promise<void> {
    const { log } = this.#options
    log.info({ inFlight: this.#running.size, drainMs }, 'draining')
    const leave = { ...this.#options, dead: this.#dead.signal }
    await announceDrain(leave)
    this.#closing.abort()
    await this.#claiming
    await this.#settled(drainMs)
    for (const { attempt } of this.#running.values()) attempt.stop('draining')
    await this.#settled(ABORT_GRACE_MS)
    this.#abandonRest()
    await this.#settled(LAST_WORDS_MS)
    await deregister(leave)
    this.#finish('drained')
  }

  /** A loop that ends by a fault of ours must not leave an agent that looks alive and takes nothing. */
  async #claim(options: ClaimLoopOptions): Promise<void> {
    try {
      await claimLoop(options)
    } catch (error) {
      options.log.error({ err: error }, 'the claim loop failed')
      this.#over('lost', 'the claim loop failed')
    }
  }

  #start(tasks: readonly ClaimedTask[]): void {
    const begin = Promise.withResolvers<void>()
    for (const task of tasks) this.#run(new Attempt(task), begin.promise, (attempt) => this.#work(attempt))
    this.#announce() // N2
    begin.resolve()
  }

  #giveBack(tasks: readonly ClaimedTask[]): void {
    for (const task of tasks) this.#run(new Attempt(task), Promise.resolve(), async () => ended(task, 'released'))
  }

  /** Holds a slot while `work` runs and until its report is taken. */
  #run(attempt: Attempt, begin: Promise<void>, work: (attempt: Attempt) => Promise<Report | undefined>): void {
    const { slots, log } = this.#options
    const { correlationId, tenantId, missionId, taskId, attempt: number, traceparent } = attempt.task
    const context = { correlationId, tenantId, missionId, taskId, attempt: number }
    const done = runWithContext({ ...context, traceparent: childTraceparent(traceparent) }, async () => {
      try {
        await begin
        await this.#deliver(attempt, await work(attempt))
      } catch (error) {
        log.error({ err: error }, 'the attempt could not be run')
      } finally {
        this.#running.delete(keyOf(attempt.task))
        slots.release()
        clearTimeout(stuck)
        this.#announceSoon()
      }
    })
    slots.take()
    this.#running.set(keyOf(attempt.task), { attempt, done })
    let stuck: NodeJS.Timeout | undefined
    const onStop = (): void => {
      const complain = (): void => log.error({ taskId, attempt: number }, 'the handler does not stop, and holds a slot')
      stuck = setTimeout(complain, STUCK_MS).unref()
    }
    attempt.signal.addEventListener('abort', onStop, { once: true })
  }

  async #work(attempt: Attempt): Promise<Report | undefined> {
    const { agent, client, registration, lease, log, metrics } = this.#options
    const { crew, key, skill } = attempt.task
    log.info({ crew, key, skill }, 'attempt started')
    const startedMs = performance.now()
    const onFenced = (): void => this.#over('fenced', 'a write was refused')
    const port = createHttpPort({ client, attempt, incarnation: registration.incarnation, lease, onFenced })
    const report = await runAttempt(attempt, { agent, port, log, previousError: attempt.task.previousError })
    metrics.attemptEnded(report?.report.outcome ?? 'dropped', performance.now() - startedMs)
    return report
  }

  async #deliver(attempt: Attempt, report: Report | undefined): Promise<void> {
    attempt.settle()
    const status = report === undefined ? 'dropped' : await this.#completer.submit(report)
    const outcome = report?.report.outcome ?? attempt.stopReason
    this.#options.log.info({ outcome, status, code: report?.report.error?.code }, 'attempt ended')
  }

  #onAnswer({ canceled, lost, lifecycle }: HeartbeatAnswer): void {
    for (const task of canceled) this.#running.get(keyOf(task))?.attempt.stop('canceled')
    for (const task of lost) this.#running.get(keyOf(task))?.attempt.stop('lease_lost')
    if (lifecycle === this.#lifecycle) return
    this.#options.log.info({ from: this.#lifecycle, to: lifecycle }, 'lifecycle changed by the platform')
    const asked = asksForWork(this.#lifecycle)
    this.#lifecycle = lifecycle
    if (asksForWork(lifecycle)) this.#allowed.resolve()
    else if (asked) this.#allowed = Promise.withResolvers()
  }

  /** N1 */
  #over(state: 'lost' | 'fenced', detail: string): void {
    if (this.#dead.signal.aborted) return
    const { lease, log } = this.#options
    lease.end(state)
    this.#dead.abort()
    this.#closing.abort()
    log[state === 'fenced' ? 'fatal' : 'error']({ inFlight: this.#running.size, detail }, `lease ${state}`)
    for (const { attempt } of this.#running.values()) attempt.stop(state === 'fenced' ? 'fenced' : 'lease_lost')
    this.#finish(state)
  }

  #finish(end: SessionEnd): void {
    clearTimeout(this.#announcing)
    const stopped = this.#heartbeat.stop()
    this.#end.resolve(stopped.then(() => end))
  }

  /** N2 */
  #announce(): void {
    clearTimeout(this.#announcing)
    this.#announcing = undefined
    const tasks = [...this.#running.values()].map(({ attempt: { task } }) => task)
    this.#heartbeat.setTasks(tasks.map(({ taskId, attempt }) => ({ taskId, attempt })))
  }

  /** An attempt that has ended may stay in the list for a moment; many that end together cost one message. */
  #announceSoon(): void {
    if (!this.#dead.signal.aborted) this.#announcing ??= setTimeout(() => this.#announce(), ANNOUNCE_MS).unref()
  }

  /** Resolves when no attempt is running or reporting any more, or after `ms`. */
  async #settled(ms: number): Promise<void> {
    if (this.#running.size === 0) return
    const late = new AbortController()
    const all = Promise.all([...this.#running.values()].map(({ done }) => done)).finally(() => late.abort())
    await Promise.race([all, pause(ms, late.signal)])
  }

  /** What does not listen to its signal is handed back without it; whatever it still writes meets the fence. */
  #abandonRest(): void {
    const rest = [...this.#running.values()].filter(({ attempt }) => !attempt.settled)
    if (rest.length > 0) this.#options.log.warn({ tasks: rest.length }, 'handing back attempts that did not stop')
    for (const { attempt } of rest) {
      attempt.stop('lease_lost')
      this.#running.delete(keyOf(attempt.task))
      this.#run(new Attempt(attempt.task), Promise.resolve(), async () => ended(attempt.task, 'released'))
    }
  }
}

const keyOf = ({ taskId, attempt }: { taskId: string; attempt: number }): string => `${taskId}/${attempt}`

/** For handlers to end after their signal was aborted on drain. */
const ABORT_GRACE_MS = 1_000
const LAST_WORDS_MS = 2_000
const ANNOUNCE_MS = 20
const STUCK_MS = 30_000
