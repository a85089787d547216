import type { MissionState } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import type { QueueRef } from '@hypercode/events'
import { AppError } from '@hypercode/http'
import { instantiate } from '../domain/instantiate.ts'
import type { Ledger } from '../domain/ledger.ts'
import type { CrewPlan } from '../manifest/compile.ts'
import { findByKeys, storeMissions } from '../store/submit.ts'
import type { KnownMission, NewMissionRow } from '../store/submit.ts'
import { toldOf } from '../store/save-ledger.ts'
import type { Saved } from '../store/save-ledger.ts'

/** A mission to submit. The plan was compiled from a manifest that has been checked. */
export interface SubmitOrder {
  tenantId: string
  createdBy: string
  plan: CrewPlan
  crewVersion: number | null
  manifest: unknown
  input: unknown
  priority: number
  labels: Record<string, string>
  idempotencyKey: string | null
  /** SHA-256 of what the caller sent, in hex. */
  requestHash: string
  correlationId: string
  traceparent: string | null
}

export interface SubmitResult {
  id: string
  replayed: boolean
  /** Known without a look into the database for a mission that was stored just now. */
  state: MissionState | undefined
}

/** Stores all orders in one statement; one whose idempotency key exists gets that mission, or an error when the request differs. */
export async function submitMissions(
  db: Db,
  orders: readonly SubmitOrder[],
): Promise<{ results: (SubmitResult | Error)[]; saved: Saved }> {
  const rows = orders.map(toRow)
  const { stored, outbox } = await storeMissions(db, rows)
  const repeated = rows.filter((row) => !stored.has(row.mission.id))
  const known =
    repeated.length === 0
      ? []
      : await findByKeys(
          db,
          repeated.map((row) => ({ tenantId: row.mission.tenantId, idempotencyKey: row.idempotencyKey ?? '' })),
        )
  const byKey = new Map(known.map((mission) => [`${mission.tenantId} ${mission.idempotencyKey}`, mission]))
  const results = rows.map((row) =>
    stored.has(row.mission.id)
      ? { id: row.mission.id, replayed: false, state: row.mission.state }
      : repeat(row, byKey.get(`${row.mission.tenantId} ${row.idempotencyKey}`)),
  )
  const fresh = rows.filter((row) => stored.has(row.mission.id))
  return {
    results,
    saved: {
      outbox,
      queued: fresh.flatMap((row) => queuesOf(row.ledger)),
      ended: fresh.filter((row) => row.mission.openTasks === 0).map((row) => row.mission.id),
      told: fresh.flatMap((row) => toldOf(row.ledger)),
    },
  }
}

function toRow(order: SubmitOrder): NewMissionRow {
  const { mission, ledger } = instantiate(order.plan, order)
  return {
    mission,
    ledger,
    crewVersion: order.crewVersion,
    manifest: order.manifest,
    labels: order.labels,
    priority: order.priority,
    idempotencyKey: order.idempotencyKey,
    requestHash: order.requestHash,
    deadlineMs: order.plan.deadlineMs,
    traceparent: order.traceparent,
    createdBy: order.createdBy,
  }
}

function repeat(row: NewMissionRow, known: KnownMission | undefined): SubmitResult | Error {
  if (known === undefined)
    return new AppError('unavailable', {
      detail: 'the mission of this idempotency key is being changed',
      retryAfterMs: 1000,
    })
  if (known.requestHash !== row.requestHash) return new AppError('idempotency_mismatch')
  return { id: known.id, replayed: true, state: undefined }
}

function queuesOf(ledger: Ledger): QueueRef[] {
  const queues = new Map(
    [...ledger.added]
      .filter((task) => task.state === 'queued')
      .map((task) => [task.queue, { tenantId: task.tenantId, queue: task.queue }]),
  )
  return [...queues.values()]
}
