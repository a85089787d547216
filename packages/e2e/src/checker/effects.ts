import type { Db } from '@hypercode/db'
import type { Broken } from '@hypercode/testkit/invariants'
import { sql } from 'kysely'
import { Violations } from './violations.ts'

/** One line of the effect sink. Times are of the machine's wall clock, in milliseconds, as those of the database are. */
export interface SinkRecord {
  /** `keyed` carries out each `Idempotency-Key` once and answers repeats alike; `plain` carries out whatever comes. */
  readonly sink: 'keyed' | 'plain'
  readonly key: string
  readonly requestHash: string
  readonly taskId: string
  /** Its name in the ledger. */
  readonly effect: string
  readonly attempt: number
  /** When the agent began it. */
  readonly intentAtMs: number
  readonly atMs: number
  /** False for a repeat that the keyed endpoint recognised. */
  readonly applied: boolean
}

/** Between the clock of an agent and `now()` of a transaction of the database on the same machine. */
const CLOCK_MS = 250
/** `now()` is when a transaction began: of two that waited for one lock, the later one may have begun before. No wait is longer. */
const LOCK_WAIT_MS = 2000

interface AttemptEnd {
  taskId: string
  attempt: number
  endedAtMs: number | null
}
interface LedgerRow {
  taskId: string
  name: string
  attempt: number
  state: 'intent' | 'done' | 'unknown'
  hasResponse: boolean
  /** A person has said whether it happened. */
  resolved: boolean
  writtenAtMs: number
  taskState: string
}
interface Declared {
  taskId: string
  effects: string[]
}

/**
 * E1 to E4: what was really done, against attempts and the ledger of effects. On a platform that is still at work the order matters: what
 * was done before the file was read must stand in it, and whatever stands in it is in the ledger afterwards.
 */
export async function findBrokenEffects(db: Db, readRecords: () => readonly SinkRecord[]): Promise<Broken[]> {
  const found = new Violations()
  const declared = await loadDeclared(db)
  const before = await loadLedger(db)
  const records = readRecords()
  const byKey = Map.groupBy(records, ({ taskId, effect }) => `${taskId}:${effect}`)
  const attempts = new Map((await loadAttempts(db)).map((one) => [`${one.taskId}/${one.attempt}`, one]))
  checkSink(byKey, found)
  checkAttempts(records, attempts, found)
  checkLedger(before, byKey, attempts, found)
  const known = new Set((await loadLedger(db)).map(({ taskId, name }) => `${taskId}:${name}`))
  for (const key of byKey.keys()) if (!known.has(key)) found.add('E2 an effect that the ledger does not know', { key })
  for (const { taskId, effects } of declared) {
    for (const effect of effects) {
      if (!isCarriedOut(byKey.get(`${taskId}:${effect}`)))
        found.add('E1 a completed task without one of its effects', { taskId, effect })
    }
  }
  return found.list()
}

const isCarriedOut = (records: readonly SinkRecord[] | undefined): boolean =>
  records?.some(({ applied }) => applied) === true

function checkSink(byKey: ReadonlyMap<string, readonly SinkRecord[]>, found: Violations): void {
  for (const [key, all] of byKey) {
    const times = all.filter(({ applied }) => applied).length
    if (new Set(all.map(({ requestHash }) => requestHash)).size > 1) found.add('E4 one key with two requests', { key })
    if (times <= 1) continue
    if (all[0]?.sink === 'keyed') found.add('E1 a keyed effect was carried out twice', { key, times })
    else found.add('E2 a plain effect was carried out twice', { key, times })
  }
}

function checkAttempts(
  records: readonly SinkRecord[],
  attempts: ReadonlyMap<string, AttemptEnd>,
  found: Violations,
): void {
  for (const { taskId, attempt, effect, intentAtMs } of records) {
    const row = attempts.get(`${taskId}/${attempt}`)
    if (row === undefined) found.add('E3 an effect of an attempt that there never was', { taskId, attempt, effect })
    else if (row.endedAtMs !== null && intentAtMs > row.endedAtMs + CLOCK_MS) {
      const lateMs = Math.round(intentAtMs - row.endedAtMs)
      found.add('E3 an effect was begun by an attempt that had ended', { taskId, attempt, effect, lateMs })
    }
  }
}

function checkLedger(
  ledger: readonly LedgerRow[],
  byKey: ReadonlyMap<string, readonly SinkRecord[]>,
  attempts: ReadonlyMap<string, AttemptEnd>,
  found: Violations,
): void {
  for (const { taskId, name, attempt, state, hasResponse, resolved, writtenAtMs, taskState } of ledger) {
    const row = { taskId, name, attempt }
    if (state === 'done' && !hasResponse) found.add('E1 an effect is done without a response', row)
    if (state === 'done' && !isCarriedOut(byKey.get(`${taskId}:${name}`)))
      found.add('E1 an effect that is done in the ledger was never carried out', row)
    if (state !== 'done' && taskState === 'completed')
      found.add('E2 a task completed although one of its effects is open', { ...row, state })
    const endedAtMs = attempts.get(`${taskId}/${attempt}`)?.endedAtMs ?? Infinity
    if (!resolved && writtenAtMs > endedAtMs + LOCK_WAIT_MS)
      found.add('E3 the ledger was written for an attempt that had ended', { ...row, lateMs: writtenAtMs - endedAtMs })
  }
}

const ms = (expression: string) => sql.raw(`(extract(epoch from ${expression}) * 1000)::float8`)

async function loadDeclared(db: Db): Promise<Declared[]> {
  const { rows } = await sql<Declared>`
    select id as "taskId", input -> 'effects' as effects from tasks
    where state = 'completed' and jsonb_typeof(input -> 'effects') = 'array'`.execute(db)
  return rows
}

async function loadAttempts(db: Db): Promise<AttemptEnd[]> {
  const { rows } = await sql<AttemptEnd>`
    select task_id as "taskId", attempt, ${ms('ended_at')} as "endedAtMs" from attempts`.execute(db)
  return rows
}

async function loadLedger(db: Db): Promise<LedgerRow[]> {
  const { rows } = await sql<LedgerRow>`
    select e.task_id as "taskId", e.name, e.attempt, e.state, e.response is not null as "hasResponse",
      e.resolved_by is not null as resolved, t.state as "taskState", ${ms('coalesce(e.done_at, e.created_at)')} as "writtenAtMs"
    from effects e join tasks t on t.id = e.task_id`.execute(db)
  return rows
}
