/**
 * Carries operations out, batch by batch, by whichever replica has time. A target may be tried twice: who does it and dies has not
 * written so. Doing it is a compare-and-set, and the audit holds whose it was, so it is done once and counted once.
 */
import { ERRORS } from '@hypercode/contracts'
import { isConnectionError, isRetryable } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import { tally } from '../domain/operations.ts'
import type { Outcome } from '../domain/operations.ts'
import { standOf } from '../store/operation-targets.ts'
import { claimBatch, moveOn } from '../store/operations.ts'
import type { Batch } from '../store/operations.ts'
import type { Engine } from './engine.ts'
import { createActs } from './operation-acts.ts'
import type { PlanSource } from './plans.ts'

/** A batch is cut short after this, and a turn begins no other one after that. */
const BATCH_MS = 1000
const TURN_MS = 3000
/** How long others keep off a batch that one has taken: longer than any takes, unless its replica is gone. */
const CLAIM_MS = 10_000
/** How long an operation rests whose next target must be tried again later. */
const REST_MS = 1000
/** An operation that has not come to its end by then is given up. */
const LONGEST_MS = 86_400_000
/** Targets in hand at once: while one waits for its commit, the other is decided. */
const HANDS = 2

export interface OperationTurns {
  /** Carries out what there is, for some seconds at most. Answers how many batches that were. */
  turn(signal?: AbortSignal): Promise<number>
}

export interface OperationTurnOptions {
  engine: Engine
  plans: PlanSource
  /** Targets that are taken at a time. */
  batchMax: number
  /** Told of targets that could not be changed for a reason that lies with us. */
  onFault: (error: unknown, id: string) => void
}

export function createOperationTurns({ engine, plans, batchMax, onFault }: OperationTurnOptions): OperationTurns {
  const { db } = engine
  const acts = createActs(engine, plans)

  const seeTo = async ({ id: operationId, tenantId, action, ...batch }: Batch, id: string): Promise<Outcome> => {
    const via = `operation/${operationId}`
    const { createdBy: actor, correlationId } = batch
    let refusal: unknown
    try {
      const order = { tenantId, actor, via, reason: batch.reason ?? undefined, correlationId }
      if (await acts[action](order, id)) return 'done'
    } catch (error) {
      if (isForLater(error)) throw error
      refusal = error
    }
    const { changed, changeable } = await standOf(db, tenantId, action, id, via)
    if (changed) return 'done'
    if (refusal === undefined || !changeable) return 'skipped'
    if (!(refusal instanceof AppError)) onFault(refusal, id)
    return { id, ...reasonOf(refusal) }
  }

  /** What came of the first targets of a batch, and what kept it from the others. */
  const carryOut = async (batch: Batch, signal?: AbortSignal): Promise<{ outcomes: Outcome[]; stop: unknown }> => {
    const until = performance.now() + BATCH_MS
    const outcomes: (Outcome | undefined)[] = batch.targets.map(() => undefined)
    let next = 0
    let stop: unknown
    const hand = async (): Promise<void> => {
      while (next < outcomes.length && stop === undefined && signal?.aborted !== true && performance.now() < until) {
        const at = next
        next += 1
        try {
          outcomes[at] = await seeTo(batch, batch.targets[at] as string)
        } catch (error) {
          stop = error
        }
      }
    }
    await Promise.all(Array.from({ length: HANDS }, hand))
    const open = outcomes.indexOf(undefined)
    return { outcomes: outcomes.slice(0, open === -1 ? outcomes.length : open) as Outcome[], stop }
  }

  return {
    async turn(signal) {
      const until = performance.now() + TURN_MS
      let batches = 0
      while (signal?.aborted !== true && performance.now() < until) {
        const batch = await claimBatch(db, { claimMs: CLAIM_MS, size: batchMax, longestMs: LONGEST_MS })
        if (batch === undefined) break
        const { outcomes, stop } = await carryOut(batch, signal)
        const restMs = stop === undefined ? 0 : REST_MS
        await moveOn(db, batch.id, batch.position, tally(batch, outcomes), { restMs, longestMs: LONGEST_MS })
        if (isConnectionError(stop)) throw stop
        batches += 1
      }
      return batches
    },
  }
}

/** Nothing is wrong with the target: the server is away, others hold the row, or there is no room for another mission just now. */
const isForLater = (error: unknown): boolean =>
  error instanceof AppError ? error.status === 429 || error.status === 503 : isRetryable(error)

const MESSAGE_MAX = 8000

function reasonOf(refusal: unknown): { code: string; message: string } {
  if (!(refusal instanceof AppError)) return { code: 'internal', message: ERRORS.internal.title }
  return { code: refusal.code, message: (refusal.detail ?? refusal.title).slice(0, MESSAGE_MAX).toWellFormed() }
}
