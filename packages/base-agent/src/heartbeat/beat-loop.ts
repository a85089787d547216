import { setTimeout as sleep } from 'node:timers/promises'
import type { HeartbeatAnswer } from '@hypercode/contracts'
import { monotonicMs } from './lease.ts'
import type { Lease } from './lease.ts'
import type { FromWorker, TaskRef, WorkerSettings } from './messages.ts'
import { describeFailure, postJson } from './post-json.ts'
import type { JsonAnswer } from './post-json.ts'
import type { TokenSource } from './token-source.ts'

/**
 * Beats for one incarnation until its lease is over.
 * - B1: a beat without an answer is followed by another one soon, with the next number.
 * - B2: no request is waited for longer than the lease lasts, so its end is noticed in time.
 */
export class BeatLoop {
  readonly #settings: WorkerSettings
  readonly #lease: Lease
  readonly #tokens: TokenSource
  readonly #tell: (message: FromWorker) => void
  #tasks: readonly TaskRef[] = []
  #failures = 0
  #awake = new AbortController()

  constructor(settings: WorkerSettings, lease: Lease, tokens: TokenSource, tell: (message: FromWorker) => void) {
    this.#settings = settings
    this.#lease = lease
    this.#tokens = tokens
    this.#tell = tell
  }

  /** The attempts in flight have changed; the first one brings the next beat forward. */
  setTasks(tasks: readonly TaskRef[]): void {
    const wasIdle = this.#tasks.length === 0
    this.#tasks = tasks
    if (wasIdle && tasks.length > 0) this.#awake.abort()
  }

  async run(): Promise<void> {
    while (this.#lease.alive) {
      const beganMs = monotonicMs()
      const answered = await this.#beat()
      if (this.#lease.alive) await this.#pause(beganMs, answered)
    }
    if (this.#lease.state === 'held') this.#over('lost', 'no beat was answered in time')
  }

  /** Resolves to whether the platform took the beat. */
  async #beat(): Promise<boolean> {
    const sentAtMs = monotonicMs()
    try {
      const { status, body } = await this.#post()
      if (status !== 200) {
        this.#onRefusal(status, codeOf(body))
        return false
      }
      this.#failures = 0
      const answer = body as HeartbeatAnswer
      this.#lease.renew(sentAtMs, answer.leaseMs)
      this.#tell({ type: 'beat', answer })
      return true
    } catch (error) {
      this.#missed(describeFailure(error))
      return false
    }
  }

  async #post(): Promise<JsonAnswer> {
    const token = await this.#tokens.get(this.#timeoutMs)
    const beat = {
      incarnation: this.#settings.incarnation,
      seq: this.#lease.nextSeq(),
      tasks: this.#tasks.slice(0, 1000),
      loopLagMs: this.#lease.loopLagMs,
    }
    return await postJson(this.#settings.heartbeatUrl, beat, { token, timeoutMs: this.#timeoutMs })
  }

  /** B2 */
  get #timeoutMs(): number {
    return Math.min(this.#settings.heartbeatMs, this.#lease.remainingMs)
  }

  #onRefusal(status: number, code: string): void {
    if (status === 409 && code === 'fenced') this.#over('fenced', 'a newer incarnation of this instance has registered')
    else if (status === 404) this.#over('lost', 'the platform does not know this instance any more')
    else {
      if (status === 401) this.#tokens.drop()
      this.#missed(`${status} ${code}`)
    }
  }

  #over(state: 'lost' | 'fenced', detail: string): void {
    this.#lease.end(state)
    this.#tell({ type: 'over', state, detail })
  }

  #missed(detail: string): void {
    this.#failures += 1
    this.#tell({ type: 'missed', failures: this.#failures, detail })
  }

  async #pause(beganMs: number, answered: boolean): Promise<void> {
    const { heartbeatMs, busyHeartbeatMs } = this.#settings
    const againMs = answered ? undefined : this.#againMs()
    for (;;) {
      const periodMs = againMs ?? (this.#tasks.length > 0 ? busyHeartbeatMs : heartbeatMs)
      const leftMs = Math.min(beganMs + periodMs - monotonicMs(), this.#lease.remainingMs)
      if (leftMs <= 0) return
      await this.#sleep(leftMs)
    }
  }

  /** B1: 100 ms, 200 ms … and never later than a beat would be due, half of it by chance. */
  #againMs(): number {
    const ceilingMs = Math.min(this.#settings.heartbeatMs, 100 * 2 ** Math.min(this.#failures, 10))
    return ceilingMs / 2 + (Math.random() * ceilingMs) / 2
  }

  /** Ends early when it is woken. */
  async #sleep(ms: number): Promise<void> {
    this.#awake = new AbortController()
    const { signal } = this.#awake
    try {
      await sleep(ms, undefined, { signal })
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}

function codeOf(body: unknown): string {
  const code = typeof body === 'object' && body !== null ? (body as { readonly code?: unknown }).code : undefined
  return typeof code === 'string' ? code : 'unknown'
}
