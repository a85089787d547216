import type { CrewManifest, PlannedResult } from '@hypercode/contracts'
import type { Db, Trx } from '@hypercode/db'
import { recordset } from '@hypercode/db'
import { sql } from 'kysely'
import type { TaskFacts } from '../domain/facts.ts'
import type { Ledger } from '../domain/ledger.ts'
import { resultOf } from '../domain/plan-tasks.ts'
import type { KnownPlans } from '../domain/plan-tasks.ts'

/** The manifest that a mission was planned from; undefined for a mission that the tenant does not have. */
export async function readMissionManifest(
  db: Db,
  tenantId: string,
  missionId: string,
): Promise<CrewManifest | undefined> {
  const found = await sql<{ manifest: CrewManifest }>`
    select coalesce(m.manifest, c.manifest) as manifest from missions m
    left join crews c on c.tenant_id = m.tenant_id and c.name = m.crew and c.version = m.crew_version
    where m.id = ${missionId} and m.tenant_id = ${tenantId}`.execute(db)
  return found.rows[0]?.manifest
}

export async function readKnownPlans(
  trx: Trx,
  { id, missionId }: TaskFacts,
  name: string,
  keys: readonly string[],
): Promise<KnownPlans> {
  const found = await sql<KnownPlans>`
    select count(w.name) as waits, coalesce(bool_or(w.name = ${name}), false) as repeated,
      array(select t.key from tasks t where t.mission_id = ${missionId} and t.key = any(${keys}::text[])) as taken
    from waits w where w.task_id = ${id}`.execute(trx)
  return found.rows[0] as KnownPlans
}

/** Ids of the tasks that a task has planned under a name, in order. */
export async function findPlanned(db: Db, missionId: string, taskId: string, name: string): Promise<string[]> {
  const found = await sql<{ id: string }>`
    select t.id from tasks t where t.mission_id = ${missionId} and t.parent_id = ${taskId} and t.policy ->> 'plan' = ${name} order by t.id`.execute(
    db,
  )
  return found.rows.map(({ id }) => id)
}

/** Of managers whose planned tasks have all ended: the name of the plan, and how each of its tasks has ended. */
export async function readPlanResults(
  trx: Trx,
  ledger: Ledger,
  managers: readonly TaskFacts[],
): Promise<Map<string, { name: string; results: PlannedResult[] }>> {
  const plans = new Map<string, { name: string; results: PlannedResult[] }>()
  if (managers.length === 0) return plans
  const rows = managers.map((task) => ({ mission_id: task.missionId, parent_id: task.id }))
  const found = await sql<
    Pick<TaskFacts, 'id' | 'key' | 'state' | 'output' | 'error'> & { parent_id: string; name: string }
  >`
    select t.id, t.parent_id, t.key, t.state, t.output, t.error, w.name
    from ${recordset(rows, 'p', 'mission_id uuid, parent_id uuid')} join waits w on w.task_id = p.parent_id and w.kind = 'tasks' and w.fired_at is null
    join tasks t on t.mission_id = p.mission_id and t.parent_id = p.parent_id and t.policy ->> 'plan' = w.name order by t.id`.execute(
    trx,
  )
  for (const row of found.rows) {
    const now = ledger.tasks.get(row.id)
    const plan = plans.get(row.parent_id) ?? { name: row.name, results: [] }
    plan.results.push(resultOf(now !== undefined && ledger.changed.has(now) ? now : row))
    plans.set(row.parent_id, plan)
  }
  return plans
}
