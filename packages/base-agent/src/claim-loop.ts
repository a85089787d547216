import { ROUTES, newId } from '@hypercode/contracts'
import type { ClaimRequest, ClaimedTask } from '@hypercode/contracts'
import type { HyperClient } from '@hypercode/client'
import type { Logger } from '@hypercode/telemetry'
import { Backoff, pause } from './backoff.ts'
import type { Lease } from './heartbeat/lease.ts'
import { isFenced, retryDelayMs, weather } from './platform-errors.ts'
import type { Slots } from './slots.ts'

export interface ClaimLoopOptions {
  readonly client: HyperClient
  readonly incarnation: number
  readonly lease: Lease
  readonly slots: Slots
  /** How long one poll waits at the platform for work. */
  readonly waitMs: number
  /** Aborted when no new work is to be taken: on drain, and when the lease is over. */
  readonly closing: AbortSignal
  readonly log: Logger
  /** Resolves when the platform lets the instance take work. */
  readonly allowed: () => Promise<void>
  /** Resolves when the next reports are on their way. */
  readonly reporting: () => Promise<void>
  readonly start: (tasks: readonly ClaimedTask[]) => void
  /** Tasks that came although the loop was closing; they go back unharmed. */
  readonly giveBack: (tasks: readonly ClaimedTask[]) => void
  readonly onFenced: () => void
}

/**
 * Takes work until `closing` aborts: one long poll at a time, with as many credits as there are free slots, within a bound.
 * - P1: every poll has a claim id, and a poll without an answer is repeated under the same one, so that tasks whose answer
 *   was lost on the way come again instead of being held by nobody.
 * - P2: nothing is asked for and nothing begun under a lease that is over by our own clock, also before anybody has noticed.
 * - P3: when the loop closes in the middle of a poll it asks once more, without waiting: what the platform has leased to it
 *   is known and handed back.
 */
export async function claimLoop(options: ClaimLoopOptions): Promise<void> {
  const { slots, closing, allowed, lease } = options
  const closed = once(closing)
  while (!closing.aborted) {
    await Promise.race([allowed(), closed])
    if (slots.free === 0) await Promise.race([slots.freed, closed])
    if (!lease.alive) await closed // P2: its end is noticed within a tick
    if (!closing.aborted && slots.free > 0) await poll(options)
  }
}

async function poll(options: ClaimLoopOptions): Promise<void> {
  const { slots, incarnation, waitMs, closing, start, giveBack, reporting } = options
  const beganMs = performance.now()
  const request: ClaimRequest = { claimId: newId(), incarnation, max: Math.min(slots.free, CLAIM_MAX), waitMs }
  const tasks = await ask(options, request)
  if (tasks === undefined) {
    const late = await askOnceMore(options, request)
    if (late.length > 0) giveBack(late)
  } else if (tasks.length > 0) {
    if (closing.aborted) giveBack(tasks)
    else if (options.lease.alive) {
      start(tasks)
      // There was no more. What ends at once is reported first, ahead of a poll that would only wait.
      if (tasks.length < request.max) await Promise.race([reporting(), pause(REPORTS_FIRST_MS, closing)])
    }
  } else if (performance.now() - beganMs < MIN_POLL_MS) await pause(MIN_POLL_MS, closing)
}

/** P1; `undefined` when the loop was closed before there was an answer. */
async function ask(options: ClaimLoopOptions, body: ClaimRequest): Promise<readonly ClaimedTask[] | undefined> {
  const { client, closing, lease, log, waitMs } = options
  const backoff = new Backoff({ firstMs: 50, maxMs: 5_000 })
  while (!closing.aborted) {
    try {
      const answer = await client.call(ROUTES.claimTasks, { body, signal: closing, timeoutMs: waitMs + 10_000 })
      return answer.body.tasks
    } catch (error) {
      if (closing.aborted) break
      if (isFenced(error)) {
        options.onFenced()
        return []
      }
      const delayMs = retryDelayMs(error)
      log.warn({ ...weather(error), claimId: body.claimId }, 'claim was not answered')
      if (!lease.alive) return []
      await backoff.wait(closing, delayMs ?? 1_000)
      if (delayMs === undefined) return []
    }
  }
  return undefined
}

/** P3 */
async function askOnceMore(options: ClaimLoopOptions, request: ClaimRequest): Promise<readonly ClaimedTask[]> {
  const { client, lease, log } = options
  if (!lease.alive) return []
  try {
    const body = { ...request, waitMs: 0 }
    return (await client.call(ROUTES.claimTasks, { body, signal: AbortSignal.timeout(LAST_CLAIM_MS) })).body.tasks
  } catch (error) {
    // What it may have leased goes to others when the instance leaves, at the latest when its lease ends.
    log.info({ ...weather(error), claimId: request.claimId }, 'the last claim was not answered')
    return []
  }
}

const once = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** Tasks of one answer: the agent is at these while the platform leases the next. See C1 of the completer. */
const CLAIM_MAX = 250
const LAST_CLAIM_MS = 2_000
/** A platform that answers a poll at once with nothing must not be asked without a pause. */
const MIN_POLL_MS = 100
const REPORTS_FIRST_MS = 2
