import { newId } from '@hypercode/contracts'
import type { GateRule, GymRunState, Verdict } from '@hypercode/contracts'
import { charsOf, readPage, recordset } from '@hypercode/db'
import type { Cut, Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { PlannedSample } from '../domain/plan.ts'

/** A run as it is read. */
export interface RunRecord {
  readonly id: string
  readonly tenantId: string
  readonly suite: string
  readonly suiteVersion: number
  readonly blueprint: string
  readonly blueprintVersion: number
  readonly blueprintHash: string
  readonly state: GymRunState
  readonly rule: GateRule
  readonly parallel: number
  readonly planned: number
  readonly passed: number
  readonly failed: number
  readonly errored: number
  readonly verdict: Verdict | null
  readonly reasons: readonly string[]
  readonly error: string | null
  readonly strikes: number
  readonly requestHash: string | null
  readonly createdBy: string
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly endedAt: Date | null
  readonly cleanedAt: Date | null
}

/** Of a table `r`. */
export const RUN_COLUMNS: RawBuilder<unknown> =
  sql.raw(`r.id, r.tenant_id as "tenantId", r.suite, r.suite_version as "suiteVersion", r.blueprint,
  r.blueprint_version as "blueprintVersion", r.blueprint_hash as "blueprintHash", r.state, r.rule, r.parallel, r.planned, r.passed, r.failed,
  r.errored, r.verdict, r.reasons, r.error, r.strikes, r.request_hash as "requestHash", r.created_by as "createdBy",
  r.created_at as "createdAt", r.started_at as "startedAt", r.ended_at as "endedAt", r.cleaned_at as "cleanedAt"`)

/** A run to make, with everything that its verdict will be about fixed. */
export interface NewRun {
  readonly tenantId: string
  readonly suite: string
  readonly suiteVersion: number
  readonly blueprint: string
  readonly blueprintVersion: number
  readonly blueprintHash: string
  readonly rule: GateRule
  readonly parallel: number
  readonly plan: readonly PlannedSample[]
  readonly createdBy: string
  readonly idempotencyKey: string | null
  readonly requestHash: string
}

/** Stores the run and its plan. Undefined when the tenant has a run of this idempotency key already. */
export async function insertRun(trx: Trx, run: NewRun): Promise<RunRecord | undefined> {
  const stored = await sql<RunRecord>`
    insert into gym_runs as r (id, tenant_id, suite, suite_version, blueprint, blueprint_version, blueprint_hash, rule, parallel, planned,
      state, idempotency_key, request_hash, created_by)
    values (${newId()}, ${run.tenantId}, ${run.suite}, ${run.suiteVersion}, ${run.blueprint}, ${run.blueprintVersion},
      ${run.blueprintHash}, ${JSON.stringify(run.rule)}::jsonb, ${run.parallel}, ${run.plan.length}, 'queued', ${run.idempotencyKey},
      ${run.requestHash}, ${run.createdBy})
    on conflict (tenant_id, idempotency_key) do nothing returning ${RUN_COLUMNS}`.execute(trx)
  const made = stored.rows[0]
  if (made === undefined) return undefined
  const samples = run.plan.map((sample) => ({ ...sample, id: newId() }))
  await sql`insert into gym_samples (id, run_id, tenant_id, ord, scenario, repetition, state)
    select s.id, ${made.id}, ${run.tenantId}, s.ord, s.scenario, s.repetition, 'planned'
    from ${recordset(samples, 's', 'id uuid, ord int, scenario text, repetition int')}`.execute(trx)
  return made
}

export async function findRun(db: Db, tenantId: string, id: string): Promise<RunRecord | undefined> {
  const found = await sql<RunRecord>`select ${RUN_COLUMNS} from gym_runs r
    where r.id = ${id} and r.tenant_id = ${tenantId}`.execute(db)
  return found.rows[0]
}

export async function findRunByKey(db: Db, tenantId: string, key: string): Promise<RunRecord | undefined> {
  const found = await sql<RunRecord>`select ${RUN_COLUMNS} from gym_runs r
    where r.tenant_id = ${tenantId} and r.idempotency_key = ${key}`.execute(db)
  return found.rows[0]
}

export interface RunFilter {
  readonly suite?: string | undefined
  readonly blueprint?: string | undefined
  readonly state?: GymRunState | undefined
}

/** Newest first, below the id `cursor` when given. */
export async function listRuns(
  db: Db,
  tenantId: string,
  { suite, blueprint, state }: RunFilter,
  page: { limit: number; cursor: string | undefined },
): Promise<Cut<RunRecord>> {
  const rows = sql`select ${RUN_COLUMNS} from gym_runs r where r.tenant_id = ${tenantId}
    ${suite === undefined ? sql`` : sql`and r.suite = ${suite}`}
    ${blueprint === undefined ? sql`` : sql`and r.blueprint = ${blueprint}`}
    ${state === undefined ? sql`` : sql`and r.state = ${state}`}
    ${page.cursor === undefined ? sql`` : sql`and r.id < ${page.cursor}`} order by r.id desc limit ${page.limit}`
  return await readPage<RunRecord>(db, rows, charsOf('reasons'), sql`p.id desc`)
}
