import { ROUTES } from '@hypercode/contracts'
import type { CompletionAnswer, CompletionReport } from '@hypercode/contracts'
import type { HyperClient } from '@hypercode/client'
import { ApiError } from '@hypercode/client'
import type { Logger } from '@hypercode/telemetry'
import { Backoff } from './backoff.ts'
import type { Lease } from './heartbeat/lease.ts'
import { isFenced, isStale, retryDelayMs, weather } from './platform-errors.ts'
import type { Report } from './report.ts'

/** What became of a report; `dropped` when the lease ended before the platform took it. */
export type ReportStatus = CompletionAnswer['results'][number]['status'] | 'dropped'

export interface CompleterOptions {
  readonly client: HyperClient
  readonly incarnation: number
  readonly lease: Lease
  /** Aborted when nothing may be written any more. */
  readonly dead: AbortSignal
  readonly log: Logger
  readonly onFenced: () => void
  readonly onBatch?: (size: number) => void
}

interface Waiting extends Report {
  readonly resolve: (status: ReportStatus) => void
}

/**
 * Reports the ends of attempts.
 * - C1: what ends while a request is on its way goes with the next one. Only a full batch does not wait for it, so that the
 *   platform takes one while the agent is at the next: with 1,000 slots, a fifth more of small tasks.
 * - C2: a request without an answer is repeated as it is, until it is answered or the lease is over. The platform answers a
 *   repeated report as it did the first time.
 * - C3: a report that the platform cannot take does not hold up the others: the batch is halved until it stands alone.
 */
export class Completer {
  readonly #options: CompleterOptions
  readonly #waiting: Waiting[] = []
  #onWay = 0
  #begun = Promise.withResolvers<void>()

  constructor(options: CompleterOptions) {
    this.#options = options
  }

  /** Resolves when the platform has taken the report, or never will. Waiting reports are bounded by the slots. */
  submit(report: Report): Promise<ReportStatus> {
    const { promise, resolve } = Promise.withResolvers<ReportStatus>()
    this.#waiting.push({ ...report, resolve })
    // One microtask later all that ends in this turn is there.
    if (this.#waiting.length === 1 || this.#waiting.length === BATCH_MAX) queueMicrotask(() => this.#pump())
    return promise
  }

  /** Resolves when the next request is on its way. */
  get begun(): Promise<void> {
    return this.#begun.promise
  }

  /** C1 */
  #pump(): void {
    const mayGo = (waiting: number): boolean => waiting > 0 && this.#onWay < (waiting < BATCH_MAX ? 1 : ON_WAY_MAX)
    while (mayGo(this.#waiting.length)) {
      const batch = this.#nextBatch()
      this.#onWay += 1
      const land = (): void => {
        this.#onWay -= 1
        this.#pump()
      }
      this.#deliver(batch)
        .catch((error: unknown) => this.#fail(batch, error))
        .then(land, land)
      this.#begun.resolve()
      this.#begun = Promise.withResolvers()
    }
  }

  #nextBatch(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const { bytes: size } of this.#waiting) {
      if (count === BATCH_MAX || (count > 0 && bytes + size > BATCH_MAX_BYTES)) break
      bytes += size
      count += 1
    }
    return this.#waiting.splice(0, count)
  }

  async #deliver(batch: readonly Waiting[]): Promise<void> {
    try {
      const answer = await this.#send(batch.map(({ report }) => report))
      const statuses = new Map(answer.results.map(({ taskId, attempt, status }) => [`${taskId}/${attempt}`, status]))
      for (const { report, resolve } of batch) resolve(statuses.get(`${report.taskId}/${report.attempt}`) ?? 'stale')
    } catch (error) {
      await this.#onRefusal(batch, error)
    }
  }

  /** C2 */
  async #send(results: CompletionReport[]): Promise<CompletionAnswer> {
    const { client, incarnation, lease, dead, onBatch } = this.#options
    const backoff = new Backoff({ firstMs: 50, maxMs: 5_000 })
    for (;;) {
      if (dead.aborted || !lease.alive) throw new LeaseOver()
      try {
        const { body } = await client.call(ROUTES.completeTasks, { body: { incarnation, results }, signal: dead })
        onBatch?.(results.length)
        return body
      } catch (error) {
        if (dead.aborted) throw new LeaseOver()
        const delayMs = retryDelayMs(error)
        if (delayMs === undefined) throw error
        this.#options.log.warn({ ...weather(error), results: results.length }, 'completion was not answered')
        await backoff.wait(dead, delayMs)
      }
    }
  }

  async #onRefusal(batch: readonly Waiting[], error: unknown): Promise<void> {
    const { log, onFenced } = this.#options
    const settle = (status: ReportStatus): void => batch.forEach(({ resolve }) => resolve(status))
    if (error instanceof LeaseOver) settle('dropped')
    else if (isFenced(error)) {
      onFenced()
      settle('dropped')
    } else if (isStale(error)) settle('stale')
    else if (batch.length > 1) {
      const middle = Math.ceil(batch.length / 2) // C3
      await this.#deliver(batch.slice(0, middle))
      await this.#deliver(batch.slice(middle))
    } else if (batch[0] !== undefined) await this.#replace(batch[0], error)
    else log.error({ err: error }, 'an empty batch was refused')
  }

  /** The platform cannot take this report: the attempt fails with the reason, for good, since it would come out so again. */
  async #replace(refused: Waiting, error: unknown): Promise<void> {
    const { log } = this.#options
    log.error({ err: error, taskId: refused.report.taskId }, 'a result was refused')
    const { taskId, attempt } = refused.report
    if (refused.report.error?.code === REFUSED || !(error instanceof ApiError)) {
      refused.resolve('dropped')
      return
    }
    const message = `the platform cannot take the result: ${error.code}: ${error.message}`.slice(0, 2000)
    const report: CompletionReport = {
      taskId,
      attempt,
      outcome: 'failed',
      error: { code: REFUSED, message, retryable: false },
    }
    await this.#deliver([{ report, bytes: message.length, resolve: refused.resolve }])
  }

  /** A fault of our own: nobody shall wait for ever. */
  #fail(batch: readonly Waiting[], error: unknown): void {
    this.#options.log.error({ err: error }, 'completions failed')
    for (const { resolve } of batch) resolve('dropped')
  }
}

class LeaseOver extends Error {}

const REFUSED = 'output_refused'
const BATCH_MAX = 250
const ON_WAY_MAX = 2
/** Below the 4 MiB that the route takes. */
const BATCH_MAX_BYTES = 3_500_000
