/**
 * Missions around a mission, and within it: the task that began it belongs to the next one around. That never changes, so it is read
 * without a lock.
 */
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { MissionAround } from '../domain/around.ts'
import type { BudgetFacts } from '../domain/budget.ts'
import { BUDGET_FACTS } from './budgets.ts'

/** `select id, steps …`: a mission and those around it, with the steps that lead there; itself with none. */
export const aroundOf = (missionId: RawBuilder<unknown>): RawBuilder<unknown> => sql`
  with recursive around as (
    select m.id, m.parent_task_id, 0 as steps from missions m where m.id = ${missionId}
    union all
    select m.id, m.parent_task_id, a.steps + 1 from around a join tasks t on t.id = a.parent_task_id join missions m on m.id = t.mission_id)
  select id, steps from around`

/** `select id …`: the missions within a mission, near and far, also those that have ended. */
export const withinOf = (missionId: string): RawBuilder<unknown> => sql`
  with recursive tree as materialized (
    select c.id, t.mission_id as around from missions m join missions c on c.root_id = coalesce(m.root_id, m.id) and c.root_id is not null
    join tasks t on t.id = c.parent_task_id where m.id = ${missionId}),
  within as (
    select id from tree where around = ${missionId}
    union all
    select tree.id from within join tree on tree.around = within.id)
  select id from within`

/** The missions that have to be locked to count what a mission uses: itself, and those around it up to the last one with a budget. */
export async function findSpenders(db: Db, missionId: string): Promise<string[]> {
  const found = await sql<{ id: string }>`
    with chain as materialized (${aroundOf(sql`${missionId}`)})
    select id from chain where steps <= (select max(c.steps) from chain c join mission_budgets b on b.mission_id = c.id) order by steps`.execute(
    db,
  )
  return found.rows.map(({ id }) => id)
}

/** The missions around a mission, the nearest first. */
export async function readAround(db: Db, missionId: string): Promise<MissionAround[]> {
  const found = await sql<Omit<MissionAround, 'budget'> & BudgetFacts & { isBudgeted: boolean }>`
    select m.id, m.crew, m.state = 'paused' and m.cancel_requested_at is null as "isPaused", b.mission_id is not null as "isBudgeted", ${BUDGET_FACTS}
    from (${aroundOf(sql`${missionId}`)}) a join missions m on m.id = a.id left join mission_budgets b on b.mission_id = a.id
    where a.steps > 0 order by a.steps`.execute(db)
  return found.rows.map(({ id, crew, isPaused, isBudgeted, ...budget }) => ({
    id,
    crew,
    isPaused,
    budget: isBudgeted ? budget : null,
  }))
}

/** An open mission that is paused while the one around it goes on, for no reason of its own, or the other way round. */
export interface Straggler {
  id: string
  tenantId: string
  around: { id: string; crew: string }
  mustPause: boolean
}

/** Why it was paused last was that the mission around it was. */
const PAUSED_WITH_IT = sql`coalesce((
  select e.body ? 'missionId' from mission_events e where e.mission_id = c.id and e.type = 'mission.paused' order by e.seq desc limit 1), false)`

/** What is being canceled, or has lost the task that began it, comes to its end in whatever state it is. */
export async function findStragglers(db: Db, limit: number): Promise<Straggler[]> {
  const found = await sql<Straggler>`
    select c.id, c.tenant_id as "tenantId", json_build_object('id', m.id, 'crew', m.crew) as around, m.state = 'paused' as "mustPause"
    from missions c join tasks t on t.id = c.parent_task_id join missions m on m.id = t.mission_id
    where c.parent_task_id is not null and c.ended_at is null and c.cancel_requested_at is null and t.ended_at is null
      and (c.state = 'paused') <> (m.state = 'paused')
      and (m.state = 'paused' or (${PAUSED_WITH_IT}
        and not exists (select from mission_budgets b where b.mission_id = c.id and b.exhausted_at is not null)))
    order by c.id limit ${limit}`.execute(db)
  return found.rows
}
