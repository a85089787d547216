import type { GymSample } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { JudgedSample } from '../statistics/index.ts'
import { SAMPLE_COLUMNS, viewSample } from './samples.ts'
import type { SampleRow } from './samples.ts'

/** Characters of outputs and scores that one report holds, about; the list of samples has the rest. */
const REPORT_CHARS_MAX = 8 * 1024 * 1024

/** What of all samples of a run counts, in the order of their plan. */
export async function readJudged(db: Db, runId: string): Promise<JudgedSample[]> {
  const found =
    await sql<JudgedRow>`select s.scenario, s.repetition, s.state, s.latency_ms as "latencyMs", s.tokens, s.usd
    from gym_samples s where s.run_id = ${runId} order by s.ord`.execute(db)
  return found.rows.map(({ scenario, repetition, state, latencyMs, tokens, usd }) => ({
    scenario,
    repetition,
    state,
    ...(latencyMs !== null && { latencyMs }),
    ...(tokens !== null && { tokens }),
    ...(usd !== null && { usd }),
  }))
}

interface JudgedRow {
  readonly scenario: string
  readonly repetition: number
  readonly state: GymSample['state']
  readonly latencyMs: number | null
  readonly tokens: number | null
  readonly usd: number | null
}

/** All samples of a run for its report; outputs and scores as long as there is room for them. */
export async function readForReport(db: Db, runId: string): Promise<GymSample[]> {
  const found = await sql<SampleRow>`
    with measured as (
      select s.*, sum(coalesce(octet_length(s.output::text), 0) + octet_length(s.scores::text)) over (order by s.ord) <= ${REPORT_CHARS_MAX} as fits
      from gym_samples s where s.run_id = ${runId}),
    s as (
      select m.id, m.ord, m.scenario, m.repetition, m.state, m.mission_id, m.task_id, m.outcome, m.score, m.latency_ms, m.tokens, m.usd, m.faults,
        m.error, m.tries, m.ended_at, case when m.fits then m.output end as output, case when m.fits then m.scores else '[]'::jsonb end as scores
      from measured m)
    select ${SAMPLE_COLUMNS} from s order by s.ord`.execute(db)
  return found.rows.map(viewSample)
}
