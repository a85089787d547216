import type { GymSample, Score } from '@hypercode/contracts'
import { charsOf, readPage } from '@hypercode/db'
import type { Cut, Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import { RUN_COLUMNS } from './runs.ts'
import type { RunRecord } from './runs.ts'

/** A sample as the one who carries it out sees it. */
export interface SampleRecord {
  readonly id: string
  readonly ord: number
  readonly scenario: string
  readonly repetition: number
  readonly state: GymSample['state']
  readonly missionId: string | null
  readonly tries: number
  readonly faultsSeen: number
  readonly latencyMs: number | null
  readonly tokens: number | null
  readonly usd: number | null
}

/** What came of a sample, to be stored. */
export interface SampleResult {
  readonly state: 'passed' | 'failed'
  readonly taskId: string
  readonly outcome: string
  readonly output: unknown
  readonly scores: readonly Score[]
  readonly score: number
  readonly latencyMs: number
  readonly tokens: number
  readonly usd: number
  readonly faults: readonly string[]
}

/** The writes below ask for this: the run is running, and in the hands of `owner`. */
const isOurs = (owner: string): RawBuilder<boolean> => sql<boolean>`exists (
  select 1 from gym_runs r where r.id = s.run_id and r.state = 'running' and r.owner = ${owner})`

/** Every sample of a run in the order of its plan, without what it brought out. */
export async function readPlan(db: Db, runId: string): Promise<SampleRecord[]> {
  const found =
    await sql<SampleRecord>`select s.id, s.ord, s.scenario, s.repetition, s.state, s.mission_id as "missionId", s.tries,
      s.faults_seen as "faultsSeen", s.latency_ms as "latencyMs", s.tokens, s.usd
    from gym_samples s where s.run_id = ${runId} order by s.ord`.execute(db)
  return found.rows
}

/** Begins the next try of a sample and answers its number; undefined when the run is no longer ours. */
export async function beginTry(db: Db, owner: string, id: string): Promise<number | undefined> {
  const begun = await sql<{ tries: number }>`update gym_samples s
    set state = 'running', tries = s.tries + 1, mission_id = null, task_id = null, started_at = now(), ended_at = null, error = null
    where s.id = ${id} and s.state in ('planned', 'running') and ${isOurs(owner)} returning s.tries`.execute(db)
  return begun.rows[0]?.tries
}

/** Remembers the mission of a try, so that whoever comes after can end it. */
export async function noteMission(db: Db, owner: string, id: string, missionId: string): Promise<boolean> {
  const noted =
    await sql`update gym_samples s set mission_id = ${missionId} where s.id = ${id} and ${isOurs(owner)}`.execute(db)
  return noted.numAffectedRows === 1n
}

/** Stores what came of a sample and counts it in its run, which it answers; undefined when the run is no longer ours. */
export async function saveResult(
  db: Db,
  owner: string,
  id: string,
  result: SampleResult,
): Promise<RunRecord | undefined> {
  return await finish(
    db,
    owner,
    id,
    result.state,
    sql`task_id = ${result.taskId}, outcome = ${result.outcome}, output = ${jsonOf(result.output)}::jsonb,
      scores = ${JSON.stringify(result.scores)}::jsonb, score = ${result.score}, latency_ms = ${result.latencyMs}, tokens = ${result.tokens},
      usd = ${result.usd}, faults = ${JSON.stringify(result.faults)}::jsonb, error = null`,
  )
}

/** Stores that a sample could not be judged, and why. */
export async function saveErrored(db: Db, owner: string, id: string, error: string): Promise<RunRecord | undefined> {
  return await finish(db, owner, id, 'errored', sql`faults_seen = s.faults_seen + 1, error = ${error}`)
}

/** Puts a sample back whose try the platform has spoilt. False when the run is no longer ours. */
export async function putBack(db: Db, owner: string, id: string, error: string): Promise<boolean> {
  const put = await sql`update gym_samples s set state = 'planned', faults_seen = s.faults_seen + 1, error = ${error}
    where s.id = ${id} and s.state = 'running' and ${isOurs(owner)}`.execute(db)
  return put.numAffectedRows === 1n
}

async function finish(
  db: Db,
  owner: string,
  id: string,
  state: 'passed' | 'failed' | 'errored',
  set: RawBuilder<unknown>,
): Promise<RunRecord | undefined> {
  const counted = await sql<RunRecord>`
    with saved as (
      update gym_samples s set state = ${state}, ended_at = now(), ${set}
      where s.id = ${id} and s.state = 'running' and ${isOurs(owner)} returning s.run_id)
    update gym_runs r set strikes = 0, ${sql.ref(state)} = ${sql.ref(`r.${state}`)} + 1
    from saved where r.id = saved.run_id returning ${RUN_COLUMNS}`.execute(db)
  return counted.rows[0]
}

/** Missions of a run that may still be going on. */
export async function openMissions(db: Db, runId: string): Promise<string[]> {
  const found = await sql<{ id: string }>`select mission_id as id from gym_samples
    where run_id = ${runId} and mission_id is not null and (ended_at is null or state = 'errored')`.execute(db)
  return found.rows.map((row) => row.id)
}

export interface SampleRow extends Omit<SampleRecord, 'faultsSeen'> {
  readonly taskId: string | null
  readonly outcome: string | null
  readonly output: unknown
  readonly scores: Score[]
  readonly score: number | null
  readonly faults: string[] | null
  readonly error: string | null
  readonly endedAt: Date | null
}

/** Of a table `s`. */
export const SAMPLE_COLUMNS: RawBuilder<unknown> =
  sql.raw(`s.id, s.ord, s.scenario, s.repetition, s.state, s.mission_id as "missionId",
  s.task_id as "taskId", s.outcome, s.output, s.scores, s.score, s.latency_ms as "latencyMs", s.tokens, s.usd, s.faults, s.error, s.tries,
  s.ended_at as "endedAt"`)

/** One page of a run's samples in the order of their plan, after the place `after`. */
export async function listSamples(
  db: Db,
  runId: string,
  { scenario, after, limit }: { scenario?: string | undefined; after: number; limit: number },
): Promise<Cut<GymSample & { ord: number }>> {
  const rows = sql`select ${SAMPLE_COLUMNS} from gym_samples s where s.run_id = ${runId} and s.ord > ${after} ${scenario === undefined ? sql`` : sql`and s.scenario = ${scenario}`}
    order by s.ord limit ${limit}`
  const page = await readPage<SampleRow>(db, rows, charsOf('output'), sql`p.ord`)
  return { ...page, rows: page.rows.map((row) => ({ ord: row.ord, ...viewSample(row) })) }
}

export const viewSample = (row: SampleRow): GymSample => ({
  id: row.id,
  scenario: row.scenario,
  repetition: row.repetition,
  state: row.state,
  ...(row.missionId !== null && { missionId: row.missionId }),
  ...(row.taskId !== null && { taskId: row.taskId }),
  ...(row.outcome !== null && { outcome: row.outcome }),
  ...(row.output !== null && { output: row.output }),
  scores: row.scores,
  ...(row.score !== null && { score: row.score }),
  ...(row.latencyMs !== null && { latencyMs: row.latencyMs }),
  ...(row.tokens !== null && { tokens: row.tokens }),
  ...(row.usd !== null && { usd: row.usd }),
  ...(row.faults !== null && { faultsInjected: row.faults }),
  ...(row.error !== null && { error: row.error }),
  ...(row.endedAt !== null && { endedAt: row.endedAt.toISOString() }),
})

const jsonOf = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value))
