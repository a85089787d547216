import type { Db } from '@hypercode/db'
import type { Broken } from '@hypercode/testkit/invariants'
import { sql } from 'kysely'
import { Violations } from './violations.ts'

/** What a client did and what it was told: one line when it began, one when it knew more. */
export interface HistoryRecord {
  /** Ties the lines of one call together. */
  readonly call: number
  readonly op: 'submit' | 'get' | 'cancel'
  /** `ok`: the server said so. `fail`: it said that nothing happened. `unknown`: no answer that can be trusted. */
  readonly phase: 'invoke' | 'ok' | 'fail' | 'unknown'
  /** Monotonic, of the client. */
  readonly monoMs: number
  /** Of the wall clock, as that of the database. */
  readonly atMs: number
  /** Of a submit: its idempotency key, a hash of its body, and the mark that the mission carries as its label `marker`. */
  readonly key?: string
  readonly hash?: string
  readonly marker?: string
  readonly missionId?: string
  readonly state?: string
  readonly version?: number
  readonly canceling?: boolean
}

interface Call {
  readonly invoke: HistoryRecord
  readonly end: HistoryRecord | undefined
}
interface MissionRow {
  id: string
  key: string | null
  state: string
  version: number
  marker: string | null
  canceling: boolean
}

const ENDS = new Set(['completed', 'failed', 'canceled'])
/** Of the submits, so many must have been acknowledged in the end, or the run has proved nothing. */
const ACKED_MIN = 0.95

/** H1 to H7, O13 and O15: what clients were told, against what is stored. */
export async function findBrokenPromises(db: Db, records: readonly HistoryRecord[]): Promise<Broken[]> {
  const found = new Violations()
  const calls = callsOf(records)
  const { rows } = await sql<MissionRow>`
    select id, idempotency_key as key, state, version, labels ->> 'marker' as marker, cancel_requested_at is not null as canceling
    from missions`.execute(db)
  const stored = new Map(rows.map((row) => [row.id, row]))
  checkSubmits(calls, rows, stored, found)
  checkReads(calls, stored, found)
  await checkCancels(db, calls, stored, found)
  return found.list()
}

export function callsOf(records: readonly HistoryRecord[]): Call[] {
  const ends = new Map(records.filter(({ phase }) => phase !== 'invoke').map((record) => [record.call, record]))
  return records.filter(({ phase }) => phase === 'invoke').map((invoke) => ({ invoke, end: ends.get(invoke.call) }))
}

/** Keys that were submitted, and those of them that were acknowledged at least once. */
export function ackedShare(records: readonly HistoryRecord[]): { submits: number; acked: number; share: number } {
  const submits = new Set<string>()
  const acked = new Set<string>()
  for (const { op, phase, key } of records) {
    if (op !== 'submit' || key === undefined) continue
    submits.add(key)
    if (phase === 'ok') acked.add(key)
  }
  return { submits: submits.size, acked: acked.size, share: submits.size === 0 ? 0 : acked.size / submits.size }
}

function checkSubmits(
  calls: readonly Call[],
  rows: readonly MissionRow[],
  stored: ReadonlyMap<string, MissionRow>,
  found: Violations,
): void {
  const ofKey = Map.groupBy(rows, ({ key }) => key)
  const submits = calls.filter(({ invoke }) => invoke.op === 'submit')
  for (const [key, tries] of Map.groupBy(submits, ({ invoke }) => invoke.key ?? '')) {
    const acked = tries.filter(({ end }) => end?.phase === 'ok')
    const ids = new Set(acked.map(({ end }) => end?.missionId ?? ''))
    for (const id of ids) if (!stored.has(id)) found.add('H1 an acknowledged mission is not there', { key, id })
    if (ids.size > 1) found.add('O15 one key was acknowledged with two missions', { key, ids: [...ids] })
    if (new Set(acked.map(({ invoke }) => invoke.hash)).size > 1) {
      found.add('O15 two requests of one key were both accepted', { key })
    }
    const existing = ofKey.get(key)?.length ?? 0
    if (acked.length === 0 && existing > 1) found.add('H5 an unknown submit exists more than once', { key, existing })
    const marker = tries[0]?.invoke.marker
    for (const row of ofKey.get(key) ?? []) {
      if (marker !== undefined && row.marker !== marker)
        found.add('O15 a mission that is not what was asked for', { key, id: row.id })
    }
  }
  const {
    submits: all,
    acked,
    share,
  } = ackedShare(
    calls.flatMap(({ invoke, end }) => (end === undefined ? [invoke] : [invoke, { ...end, key: invoke.key ?? '' }])),
  )
  if (all > 0 && share < ACKED_MIN) found.add('H7 too few submits were acknowledged', { submits: all, acked })
}

function checkReads(calls: readonly Call[], stored: ReadonlyMap<string, MissionRow>, found: Violations): void {
  const reads = calls.filter(({ invoke, end }) => invoke.op === 'get' && end?.phase === 'ok')
  for (const [missionId, all] of Map.groupBy(reads, ({ invoke }) => invoke.missionId ?? '')) {
    const stateOf = new Map<number, string>()
    const byEnd = all.toSorted((a, b) => endOf(a) - endOf(b))
    const byStart = all.toSorted((a, b) => a.invoke.monoMs - b.invoke.monoMs)
    let newest = 0
    let next = 0
    // Every read that had ended before this one began is older than it.
    for (const { invoke, end } of byStart) {
      for (let done = byEnd[next]; done !== undefined && endOf(done) < invoke.monoMs; done = byEnd[next]) {
        newest = Math.max(newest, done.end?.version ?? 0)
        next += 1
      }
      const { version = 0, state = '', marker } = end ?? {}
      if (version < newest) found.add('H4 a read went back', { missionId, version, newest })
      const same = stateOf.get(version) ?? state
      if (same !== state) found.add('H3 two reads of one version differ', { missionId, version, states: [same, state] })
      stateOf.set(version, state)
      if (marker !== undefined && invoke.marker !== undefined && marker !== invoke.marker) {
        found.add('H6 a client saw what is not its own', { missionId, marker })
      }
    }
    const row = stored.get(missionId)
    const seen = Math.max(...all.map(({ end }) => end?.version ?? 0))
    if (row === undefined || row.version < seen)
      found.add('H2 what a client had seen is not there any more', { missionId, seen })
  }
}

async function checkCancels(
  db: Db,
  calls: readonly Call[],
  stored: ReadonlyMap<string, MissionRow>,
  found: Violations,
): Promise<void> {
  const cancels = calls.filter(({ invoke, end }) => invoke.op === 'cancel' && end?.phase === 'ok')
  const ackedAt = new Map<string, HistoryRecord>()
  for (const { invoke, end } of cancels) {
    const id = invoke.missionId ?? ''
    if (end !== undefined && (ackedAt.get(id)?.monoMs ?? Infinity) > end.monoMs) ackedAt.set(id, end)
  }
  for (const [missionId, ack] of ackedAt) {
    const row = stored.get(missionId)
    if (row === undefined || !(row.canceling || ENDS.has(row.state)))
      found.add('H2 an acknowledged cancel is not there', { missionId })
    const later = calls.filter(
      ({ invoke, end }) =>
        invoke.op === 'get' && invoke.missionId === missionId && invoke.monoMs > ack.monoMs && end?.phase === 'ok',
    )
    for (const { end } of later) {
      if (end?.canceling !== true && !ENDS.has(end?.state ?? ''))
        found.add('H2 a read that does not know of the cancel', { missionId })
    }
  }
  if (ackedAt.size === 0) return
  const started = await sql<{ missionId: string; startedAtMs: number }>`
    select t.mission_id as "missionId", (extract(epoch from max(a.started_at)) * 1000)::float8 as "startedAtMs"
    from attempts a join tasks t on t.id = a.task_id join missions m on m.id = t.mission_id
    where m.cancel_requested_at is not null and not coalesce(t.policy ? 'compensates', false) group by t.mission_id`.execute(
    db,
  )
  for (const { missionId, startedAtMs } of started.rows) {
    const ack = ackedAt.get(missionId)
    if (ack !== undefined && startedAtMs > ack.atMs) {
      found.add('O13 an attempt began after its cancel was acknowledged', { missionId, lateMs: startedAtMs - ack.atMs })
    }
  }
}

const endOf = ({ end }: Call): number => end?.monoMs ?? Infinity
