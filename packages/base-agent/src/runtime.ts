import { ROUTES, fillPath } from '@hypercode/contracts'
import type { HyperClient } from '@hypercode/client'
import type { Logger } from '@hypercode/telemetry'
import type { AgentMetrics } from './agent-metrics.ts'
import type { Agent } from './define-agent.ts'
import { Lease, marginOf } from './heartbeat/lease.ts'
import type { WorkerSettings } from './heartbeat/messages.ts'
import { register } from './register.ts'
import type { Registered } from './register.ts'
import { Session } from './session.ts'
import type { AgentSettings } from './settings.ts'
import type { Slots } from './slots.ts'

/** How the life of an agent process ended: it was stopped, or a newer process took over its identity. */
export type AgentEnd = 'stopped' | 'fenced'

export interface RuntimeOptions {
  readonly agent: Agent
  readonly client: HyperClient
  readonly settings: AgentSettings
  readonly slots: Slots
  readonly log: Logger
  readonly metrics: AgentMetrics
}

/** Keeps an agent registered and at work: one session after the other, until it is stopped or fenced. */
export class Runtime {
  /** Resolves after the first registration; when there will be none, `ended` says so. */
  readonly ready: Promise<void>
  /** Resolves when the agent does nothing any more; rejects with `AgentRefused`. */
  readonly ended: Promise<AgentEnd>
  readonly #options: RuntimeOptions
  readonly #stopping = new AbortController()
  readonly #ready = Promise.withResolvers<void>()
  #registered: Registered | undefined
  #session: Session | undefined
  #lease: Lease | undefined
  #drain: Promise<void> | undefined

  constructor(options: RuntimeOptions) {
    this.#options = options
    this.ready = this.#ready.promise
    this.ended = this.#supervise()
  }

  /** The latest registration, `undefined` before the first. */
  get registered(): Registered | undefined {
    return this.#registered
  }

  /** Does the platform count on this agent at this moment? */
  get connected(): boolean {
    return this.#session !== undefined && this.#lease?.alive === true
  }

  /** Ends the tries to register. What is at work already is not touched. */
  giveUp(): void {
    if (this.#session === undefined) this.#stopping.abort()
  }

  /** Drains within `drainMs` (the setting when absent) and deregisters. Resolves when nothing runs any more. */
  async stop(drainMs = this.#options.settings.drainMs ?? DRAIN_MS): Promise<void> {
    this.#stopping.abort()
    this.#drain ??= this.#session?.drain(drainMs)
    await this.#drain
    await this.ended
  }

  async #supervise(): Promise<AgentEnd> {
    const { agent, client, slots, log, metrics } = this.#options
    for (;;) {
      const known = this.#registered !== undefined
      const registered = await register({
        agent,
        client,
        slots: slots.total,
        log,
        stopping: this.#stopping.signal,
        known,
      })
      if (registered === undefined) return 'stopped'
      this.#registered = registered
      const session = this.#begin(registered)
      this.#ready.resolve()
      if (this.#stopping.signal.aborted) this.#drain ??= session.drain(0)
      const end = await session.ended
      this.#session = undefined
      if (end === 'drained') return 'stopped'
      metrics.leaseEnded(end)
      if (end === 'fenced') return 'fenced'
      if (this.#stopping.signal.aborted) return 'stopped'
    }
  }

  #begin(registration: Registered): Session {
    const { agent, client, settings, slots, log, metrics } = this.#options
    const lease = new Lease(marginOf(registration.leaseMs))
    lease.renew(registration.sentAtMs, registration.leaseMs)
    this.#lease = lease
    this.#session = new Session({
      agent,
      client,
      registration,
      lease,
      slots,
      worker: this.#workerSettings(registration, lease),
      claimWaitMs: Math.min(settings.claimWaitMs ?? 20_000, 30_000),
      log,
      metrics,
    })
    return this.#session
  }

  #workerSettings({ id, incarnation, leaseMs, heartbeatMs }: Registered, lease: Lease): WorkerSettings {
    const { url, clientId, clientSecret, instance, busyHeartbeatMs = BUSY_HEARTBEAT_MS } = this.#options.settings
    const base = url.replace(/\/+$/, '')
    return {
      memory: lease.memory,
      marginMs: marginOf(leaseMs),
      heartbeatUrl: base + fillPath(ROUTES.heartbeatAgent.path, { id }),
      tokenUrl: base + ROUTES.issueToken.path,
      credentials: { clientId, clientSecret, ...(instance !== undefined && { instance }) },
      incarnation,
      heartbeatMs,
      busyHeartbeatMs: Math.min(heartbeatMs, busyHeartbeatMs),
    }
  }
}

const DRAIN_MS = 10_000
/** A cancel shall reach the handler within a second. */
const BUSY_HEARTBEAT_MS = 900
