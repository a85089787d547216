/** How the state of a run changes. Each is one transaction with its event and its audit row. */
import type { GymRunState, Verdict } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { changeFleet } from '@hypercode/events'
import type { FleetJournal, Publish } from '@hypercode/events'
import { sql } from 'kysely'
import { insertRun, RUN_COLUMNS } from './runs.ts'
import type { NewRun, RunRecord } from './runs.ts'

export interface MoveDeps {
  readonly db: Db
  readonly publish: Publish
}

/** Who changes which run. */
export interface RunChange {
  readonly tenantId: string
  readonly id: string
  readonly actor: string
}

/** Undefined when the tenant has a run of this idempotency key already. */
export async function startRun({ db, publish }: MoveDeps, run: NewRun): Promise<RunRecord | undefined> {
  return await changeFleet(db, publish, [run.tenantId], async (trx, journal) => {
    const made = await insertRun(trx, run)
    if (made !== undefined) tell(journal, made, 'gym.run.started', run.createdBy)
    return made
  })
}

/** Ends a run that has not ended; what it has started is ended by whoever carries it out. Undefined when it had ended before. */
export async function cancelRun({ db, publish }: MoveDeps, change: RunChange): Promise<RunRecord | undefined> {
  return await changeFleet(db, publish, [change.tenantId], async (trx, journal) => {
    const moved = await sql<RunRecord>`update gym_runs r set state = 'canceled', ended_at = now()
      where r.id = ${change.id} and r.tenant_id = ${change.tenantId} and r.ended_at is null returning ${RUN_COLUMNS}`.execute(
      trx,
    )
    const run = moved.rows[0]
    if (run === undefined) return undefined
    await sql`update gym_samples set state = 'skipped' where run_id = ${run.id} and state in ('planned', 'running')`.execute(
      trx,
    )
    tell(journal, run, 'gym.run.canceled', change.actor)
    return run
  })
}

/**
 * Queues a run again that was canceled or failed, and of which nothing is left over. What has a result keeps it; all else is taken again,
 * under numbers of its own. Undefined when the run is in no such state.
 */
export async function resumeRun({ db, publish }: MoveDeps, change: RunChange): Promise<RunRecord | undefined> {
  return await changeFleet(db, publish, [change.tenantId], async (trx, journal) => {
    const moved = await sql<RunRecord>`
      update gym_runs r set state = 'queued', ended_at = null, cleaned_at = null, error = null, errored = 0, strikes = 0, owner = null, owner_until = null
      where r.id = ${change.id} and r.tenant_id = ${change.tenantId} and r.state in ('canceled', 'failed') and r.cleaned_at is not null
      returning ${RUN_COLUMNS}`.execute(trx)
    const run = moved.rows[0]
    if (run === undefined) return undefined
    await sql`update gym_samples set state = 'planned', faults_seen = 0, error = null, ended_at = null, started_at = null, mission_id = null, task_id = null
      where run_id = ${run.id} and state not in ('passed', 'failed')`.execute(trx)
    tell(journal, run, 'gym.run.started', change.actor, { resumed: true })
    return run
  })
}

/** What a run came to: a verdict, or why it could not be carried out. */
export type RunEnd =
  | { readonly state: 'completed'; readonly verdict: Verdict; readonly reasons: readonly string[] }
  | { readonly state: 'failed'; readonly error: string; readonly reasons: readonly string[] }

/** Ends a run that `owner` carries out. Undefined when it is no longer running, or no longer theirs. */
export async function endRun(
  { db, publish }: MoveDeps,
  run: Pick<RunRecord, 'id' | 'tenantId'>,
  owner: string,
  end: RunEnd,
): Promise<RunRecord | undefined> {
  const verdict = end.state === 'completed' ? end.verdict : null
  const error = end.state === 'failed' ? end.error : null
  return await changeFleet(db, publish, [run.tenantId], async (trx, journal) => {
    const moved =
      await sql<RunRecord>`update gym_runs r set state = ${end.state}, ended_at = now(), verdict = ${verdict}, error = ${error},
        reasons = ${JSON.stringify(end.reasons)}::jsonb
      where r.id = ${run.id} and r.state = 'running' and r.owner = ${owner} returning ${RUN_COLUMNS}`.execute(trx)
    const ended = moved.rows[0]
    if (ended === undefined) return undefined
    await sql`update gym_samples set state = 'skipped' where run_id = ${run.id} and state in ('planned', 'running')`.execute(
      trx,
    )
    tell(journal, ended, end.state === 'completed' ? 'gym.run.completed' : 'gym.run.failed', SYSTEM)
    return ended
  })
}

/** Tells how far a run is. */
export async function tellProgress({ db, publish }: MoveDeps, run: RunRecord): Promise<void> {
  await changeFleet(db, publish, [run.tenantId], async (_trx, journal) => {
    journal.add({ tenantId: run.tenantId, type: 'gym.run.progress', ref: refOf(run), body: factsOf(run) })
    await Promise.resolve()
  })
}

/** As the audit names the gym itself. */
export const SYSTEM = 'turing-gym'

type MoveEvent = 'gym.run.started' | 'gym.run.canceled' | 'gym.run.completed' | 'gym.run.failed'

function tell(journal: FleetJournal, run: RunRecord, type: MoveEvent, actor: string, more: object = {}): void {
  const facts = { ...factsOf(run), ...more }
  journal.add({ tenantId: run.tenantId, type, ref: refOf(run), body: facts })
  journal.audit({ tenantId: run.tenantId, actor, action: type, ref: run.id, detail: facts })
}

const refOf = ({ id }: RunRecord): string => `gym/runs/${id}`

const factsOf = (run: RunRecord): Record<string, unknown> => ({
  runId: run.id,
  suite: run.suite,
  suiteVersion: run.suiteVersion,
  blueprint: run.blueprint,
  blueprintVersion: run.blueprintVersion,
  blueprintHash: run.blueprintHash,
  state: run.state,
  samples: samplesOf(run),
  ...(run.verdict !== null && { verdict: run.verdict }),
  ...(hasEnded(run.state) && { reasons: run.reasons }),
  ...(run.error !== null && { error: run.error }),
})

const hasEnded = (state: GymRunState): boolean => state !== 'queued' && state !== 'running'

export const samplesOf = ({ planned, passed, failed, errored }: RunRecord) => ({
  planned,
  finished: passed + failed + errored,
  passed,
  failed,
  errored,
})
