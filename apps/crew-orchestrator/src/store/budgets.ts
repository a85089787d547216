import type { Budget } from '@hypercode/contracts'
import { recordset } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { BudgetFacts } from '../domain/budget.ts'

/** Columns of `mission_budgets b` as facts. A double holds what a limit of nine decimals below a million is. */
export const BUDGET_FACTS =
  sql.raw(`b.tokens_max as "tokensMax", b.usd_max::float8 as "usdMax", b.tokens_used as "tokensUsed",
  b.usd_used::float8 as "usdUsed", b.exhausted_at as "exhaustedAt"`)

/** `insert into mission_budgets …` for missions that are stored in the same statement; `only` is a where clause over the rows `r`. */
export function insertBudgets(
  budgets: readonly (Budget & { missionId: string; tenantId: string })[],
  only: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const rows = budgets.map(({ missionId, tenantId, tokens, usd }) => ({
    mission_id: missionId,
    tenant_id: tenantId,
    tokens_max: tokens,
    usd_max: usd,
  }))
  return sql`insert into mission_budgets (mission_id, tenant_id, tokens_max, usd_max)
    select r.mission_id, r.tenant_id, r.tokens_max, r.usd_max
    from ${recordset(rows, 'r', 'mission_id uuid, tenant_id uuid, tokens_max bigint, usd_max numeric')} ${only}`
}

/** Counts what a call took, exactly, in those of the missions that have a budget. They are locked. */
export async function spend(
  trx: Trx,
  missionIds: readonly string[],
  { tokens, usd }: { tokens: number; usd: number },
): Promise<Map<string, BudgetFacts>> {
  const used = sql`b.tokens_used + ${tokens}::bigint`
  const cost = sql`b.usd_used + ${usd}::numeric(18, 9)`
  const found = await sql<BudgetFacts & { missionId: string }>`
    update mission_budgets b set tokens_used = ${used}, usd_used = ${cost},
      exhausted_at = case when ${used} >= b.tokens_max or ${cost} >= b.usd_max then coalesce(b.exhausted_at, clock_timestamp()) end
    where b.mission_id = any(${missionIds}::uuid[]) returning b.mission_id as "missionId", ${BUDGET_FACTS}`.execute(trx)
  return new Map(found.rows.map(({ missionId, ...budget }) => [missionId, budget]))
}

/** The budget of a mission, if it has one. */
export async function readBudget(db: Db, missionId: string): Promise<BudgetFacts | undefined> {
  const found = await sql<BudgetFacts>`
    select ${BUDGET_FACTS} from mission_budgets b where b.mission_id = ${missionId}`.execute(db)
  return found.rows[0]
}

/** Sets the limits that are named. The mission is locked, and has a budget. */
export async function setLimits(trx: Trx, missionId: string, { tokens, usd }: Budget): Promise<BudgetFacts> {
  const tokensMax = sql`coalesce(${tokens ?? null}::bigint, b.tokens_max)`
  const usdMax = sql`coalesce(${usd ?? null}::numeric(18, 9), b.usd_max)`
  const found = await sql<BudgetFacts>`
    update mission_budgets b set tokens_max = ${tokensMax}, usd_max = ${usdMax},
      exhausted_at = case when b.tokens_used >= ${tokensMax} or b.usd_used >= ${usdMax} then coalesce(b.exhausted_at, clock_timestamp()) end
    where b.mission_id = ${missionId} returning ${BUDGET_FACTS}`.execute(trx)
  return found.rows[0] as BudgetFacts
}
