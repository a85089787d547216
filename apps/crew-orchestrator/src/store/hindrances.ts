import type { Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { BudgetFacts } from '../domain/budget.ts'
import { BUDGET_FACTS } from './budgets.ts'

/** What keeps a paused mission from being resumed. */
export interface Hindrances {
  /** Its own, which is used up. */
  budget: BudgetFacts | undefined
  /** The mission around it, which is paused. */
  around: { id: string; crew: string } | undefined
}

export async function readHindrances(trx: Trx, missionId: string): Promise<Hindrances> {
  const found = await sql<BudgetFacts & { around: { id: string; crew: string } | null }>`
    select ${BUDGET_FACTS}, null::json as around from mission_budgets b where b.mission_id = ${missionId} and b.exhausted_at is not null
    union all
    select null, null, null, null, null, json_build_object('id', m.id, 'crew', m.crew)
    from missions c join tasks t on t.id = c.parent_task_id join missions m on m.id = t.mission_id where c.id = ${missionId} and m.state = 'paused'`.execute(
    trx,
  )
  return {
    budget: found.rows.find(({ around }) => around === null),
    around: found.rows.find(({ around }) => around !== null)?.around ?? undefined,
  }
}
