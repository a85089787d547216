import type { Budget, Labels, MissionState } from '@hypercode/contracts'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { Kept } from '../domain/again.ts'

/** A mission that is to be done again. */
export interface MissionToRepeat {
  crew: string
  crewVersion: number | null
  manifest: Record<string, unknown> | null
  input: unknown
  state: MissionState
  priority: number
  labels: Labels
  /** The limits that it has now. */
  budget: Budget | null
}

export async function findMissionToRepeat(db: Db, tenantId: string, id: string): Promise<MissionToRepeat | undefined> {
  const found = await sql<MissionToRepeat>`
    select m.crew, m.crew_version as "crewVersion", m.manifest, m.input, m.state, m.priority, m.labels,
      (select json_strip_nulls(json_build_object('tokens', b.tokens_max, 'usd', b.usd_max)) from mission_budgets b where b.mission_id = m.id) as budget
    from missions m
    where m.id = ${id} and m.tenant_id = ${tenantId}`.execute(db)
  return found.rows[0]
}

/**
 * The completed tasks of a mission by key, with their outputs, which are bounded together. One whose compensation a person skipped stands
 * as it is; that of one whose compensation failed is not known to, and it is done again.
 */
export async function readKept(db: Db, missionId: string): Promise<Map<string, Kept>> {
  const found = await sql<Kept & { key: string }>`
    select t.key, coalesce(t.kept_from, t.id) as "taskId", t.output, coalesce(octet_length(t.output::text), 0) as chars,
      exists (select from tasks c where c.mission_id = t.mission_id and c.parent_id = t.id and c.policy ? 'compensates' and c.state <> 'skipped') as undone,
      (select p.key from tasks p where p.id = t.parent_id) as parent
    from tasks t where t.mission_id = ${missionId} and t.state = 'completed' and not coalesce(t.policy ? 'compensates', false)`.execute(
    db,
  )
  return new Map(found.rows.map(({ key, ...kept }) => [key, kept]))
}
