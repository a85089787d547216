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
  readonly step: string
  readonly attempt: number
  /** When the agent began it. */
  readonly intentAtMs: number
  readonly atMs: number
  /** False for a repeat that the keyed endpoint recognised. */
  readonly applied: boolean
}

/** Between the clock of an agent and `now()` of a transaction of the database on the same machine. */
const CLOCK_MS = 250

interface AttemptEnd {
  taskId: string
  attempt: number
  endedAtMs: number | null
}
interface StepRow {
  taskId: string
  name: string
  attempt: number
  atMs: number
}
interface Declared {
  taskId: string
  effects: string[]
}

/**
 * E1 to E4: what was really done, against attempts and journaled steps. On a platform that is still at work the order matters: what had
 * completed before the file was read must stand in it, and whatever stands in it belongs to an attempt that is there afterwards.
 */
export async function findBrokenEffects(db: Db, readRecords: () => readonly SinkRecord[]): Promise<Broken[]> {
  const found = new Violations()
  const declared = await loadDeclared(db)
  const records = readRecords()
  const byKey = Map.groupBy(records, (record) => `${record.sink} ${record.key}`)
  const { attempts, steps } = await loadFacts(db)
  const stepOf = new Map(steps.map((step) => [`${step.taskId}:${step.name}`, step]))
  for (const [key, all] of byKey) {
    const applied = all.filter((record) => record.applied).toSorted((a, b) => a.atMs - b.atMs)
    if (new Set(all.map(({ requestHash }) => requestHash)).size > 1) found.add('E4 one key with two requests', { key })
    if (all[0]?.sink === 'keyed' && applied.length > 1) {
      found.add('E1 a keyed effect was carried out twice', { key, times: applied.length })
    }
    if (all[0]?.sink === 'plain') {
      for (const repeat of needlessRepeats(applied, stepOf)) {
        found.add('E2 a plain effect was repeated although its result was known', { key, attempt: repeat.attempt })
      }
    }
  }
  const endOf = new Map(attempts.map((attempt) => [`${attempt.taskId}/${attempt.attempt}`, attempt]))
  for (const { taskId, attempt, step, intentAtMs } of records) {
    const row = endOf.get(`${taskId}/${attempt}`)
    if (row === undefined) found.add('E3 an effect of an attempt that there never was', { taskId, attempt, step })
    else if (row.endedAtMs !== null && intentAtMs > row.endedAtMs + CLOCK_MS) {
      const lateMs = Math.round(intentAtMs - row.endedAtMs)
      found.add('E3 an effect was begun by an attempt that had ended', { taskId, attempt, step, lateMs })
    }
  }
  for (const { taskId, effects } of declared) {
    for (const effect of effects) {
      const done = byKey.get(`${effect} ${taskId}:${effect}`)?.filter((record) => record.applied).length ?? 0
      if (done === 0) found.add('E1 a completed task without one of its effects', { taskId, effect })
    }
  }
  return found.list()
}

/** Plain effects that came again although nothing was uncertain: by the same attempt, or when the step had been journaled. */
function needlessRepeats(applied: readonly SinkRecord[], stepOf: ReadonlyMap<string, StepRow>): SinkRecord[] {
  return applied.filter((record, index) => {
    const before = applied[index - 1]
    if (before === undefined) return false
    const step = stepOf.get(record.key)
    const known = step !== undefined && step.attempt < record.attempt && step.atMs + CLOCK_MS < record.intentAtMs
    return before.attempt === record.attempt || known
  })
}

/** How often a plain effect came again after an attempt that was cut off in the middle of it: at-least-once, and to be seen. */
export function uncertainRepeats(records: readonly SinkRecord[]): number {
  const plain = records.filter((record) => record.sink === 'plain' && record.applied)
  return plain.length - new Set(plain.map(({ key }) => key)).size
}

async function loadDeclared(db: Db): Promise<Declared[]> {
  const { rows } = await sql<Declared>`
    select id as "taskId", input -> 'effects' as effects from tasks
    where state = 'completed' and jsonb_typeof(input -> 'effects') = 'array'`.execute(db)
  return rows
}

async function loadFacts(db: Db): Promise<{ attempts: AttemptEnd[]; steps: StepRow[] }> {
  const ms = (column: string) => sql.raw(`(extract(epoch from ${column}) * 1000)::float8`)
  const attempts = await sql<AttemptEnd>`
    select task_id as "taskId", attempt, ${ms('ended_at')} as "endedAtMs" from attempts`.execute(db)
  const steps = await sql<StepRow>`
    select task_id as "taskId", name, attempt, ${ms('created_at')} as "atMs" from steps`.execute(db)
  return { attempts: attempts.rows, steps: steps.rows }
}
