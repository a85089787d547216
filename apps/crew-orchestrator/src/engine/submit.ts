import type { Budget, MissionState } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { AppError } from '@hypercode/http'
import type { Kept } from '../domain/again.ts'
import { NOTHING_HANDED } from '../domain/hand-over.ts'
import type { HandOver } from '../domain/hand-over.ts'
import { instantiate } from '../domain/instantiate.ts'
import type { Ledger } from '../domain/ledger.ts'
import type { CrewPlan } from '../manifest/compile.ts'
import { findExisting, storeMissions } from '../store/submit.ts'
import type { KnownMission, NewMissionRow, Within } from '../store/submit.ts'
import { queuesOf, toldOf } from '../store/commit-news.ts'
import type { Saved } from '../store/save-ledger.ts'

/** A mission to submit. The plan was compiled from a manifest that has been checked. */
export interface SubmitOrder {
  tenantId: string
  createdBy: string
  plan: CrewPlan
  crewVersion: number | null
  /** The newest version when this process last looked: is refused with `CrewOutdated` when there is a newer one. */
  isRemembered?: boolean
  manifest: unknown
  input: unknown
  priority: number
  labels: Record<string, string>
  /** In place of the budget of its crew. */
  budget?: Budget | undefined
  idempotencyKey: string | null
  /** SHA-256 of what the caller sent, in hex. */
  requestHash: string
  /** Characters of what the caller sent. */
  requestChars: number
  correlationId: string
  traceparent: string | null
  /** Of a mission that a task of another one begins. */
  within?: Within
  /** Of a mission that does another one again. */
  parentMissionId?: string
  kept?: ReadonlyMap<string, Kept>
}

export interface SubmitResult {
  id: string
  replayed: boolean
  /** Known without a look into the database for a mission that was stored just now. */
  state: MissionState | undefined
}

/** The crew has a newer version than the one that a mission was planned from; nothing was stored. */
export class CrewOutdated extends Error {
  override readonly name = 'CrewOutdated'
}

/** Stores all missions in one statement; one whose idempotency key exists gets that mission, or an error when the request differs. */
export async function submitMissions(
  db: Db,
  rows: readonly NewMissionRow[],
  over: HandOver = NOTHING_HANDED,
): Promise<{ results: (SubmitResult | Error)[]; saved: Saved; stored: ReadonlySet<string> }> {
  const { stored, outbox, isHanded } = await storeMissions(db, rows.toSorted(byKey), over)
  // A repeated statement finds the gate anew, and the missions as the first one has left them.
  const handedOf = ({ mission }: NewMissionRow): HandOver =>
    isHanded && stored.has(mission.id) ? over : NOTHING_HANDED
  const left = rows.filter((row) => !stored.has(row.mission.id))
  const existing = left.length === 0 ? [] : await findExisting(db, left.map(refOf))
  const byId = new Map(existing.map((mission) => [mission.id, mission]))
  const byIdempotencyKey = new Map(existing.map((mission) => [keyOf(mission), mission]))
  // A statement that was repeated after its reply was lost finds what it stored the first time: that is new all the same.
  const isNew = ({ mission }: NewMissionRow): boolean => stored.has(mission.id) || byId.has(mission.id)
  const fresh = rows.filter(isNew)
  return {
    results: rows.map((row) =>
      isNew(row)
        ? {
            id: row.mission.id,
            replayed: false,
            state: handedOf(row).eventsOf.has(row.mission.id) ? 'running' : row.mission.state,
          }
        : repeat(row, byIdempotencyKey.get(keyOf(refOf(row)))),
    ),
    stored,
    saved: {
      outbox,
      isHanded,
      queued: fresh.flatMap((row) => queuesOf(row.ledger, handedOf(row))),
      ended: fresh.filter((row) => row.mission.openTasks === 0).map((row) => row.mission.id),
      told: fresh.flatMap((row) => toldOf(row.ledger)),
    },
  }
}

/** Everybody stores keys in one order, so that two batches with the same keys never wait for each other. */
const byKey = (a: NewMissionRow, b: NewMissionRow): number =>
  (a.idempotencyKey ?? '') < (b.idempotencyKey ?? '') ? -1 : a.idempotencyKey === b.idempotencyKey ? 0 : 1

const refOf = ({ mission, idempotencyKey }: NewMissionRow) => ({
  id: mission.id,
  tenantId: mission.tenantId,
  idempotencyKey,
})

const keyOf = ({ tenantId, idempotencyKey }: { tenantId: string; idempotencyKey: string | null }): string =>
  `${tenantId} ${idempotencyKey}`

/** What an order comes to. The plan, and what the mission's input makes of it, can be much larger than the request. */
export function planMission(order: SubmitOrder): NewMissionRow {
  const { mission, ledger } = instantiate(order.plan, order)
  return {
    mission,
    ledger,
    crewVersion: order.crewVersion,
    isRemembered: order.isRemembered ?? false,
    manifest: order.manifest,
    labels: order.labels,
    priority: order.priority,
    idempotencyKey: order.idempotencyKey,
    requestHash: order.requestHash,
    deadlineMs: order.plan.deadlineMs,
    budget: order.budget ?? order.plan.budget,
    createdBy: order.createdBy,
    within: order.within ?? null,
    parentMissionId: order.parentMissionId ?? null,
    chars: order.requestChars + order.plan.chars + mission.filledChars + mission.outputChars + charsOf(ledger),
  }
}

/** Of a task with its event, and of an edge, beside what was filled in. */
const TASK_CHARS = 1000
const EDGE_CHARS = 150

function charsOf({ added, edges }: Ledger): number {
  let chars = edges.length * EDGE_CHARS
  for (const { requires, retry } of added)
    chars += TASK_CHARS + requires.join().length + retry.nonRetryable.join().length
  return chars
}

function repeat(row: NewMissionRow, known: KnownMission | undefined): SubmitResult | Error {
  if (known === undefined && row.isRemembered) return new CrewOutdated('the crew has a newer version')
  if (known === undefined)
    return new AppError('unavailable', {
      detail: 'the mission of this idempotency key is being changed',
      retryAfterMs: 1000,
    })
  if (known.requestHash !== row.requestHash) return new AppError('idempotency_mismatch')
  return { id: known.id, replayed: true, state: undefined }
}
