import type { MissionCosts, RecordUsage } from '@hypercode/contracts'
import { repeatable } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import { aroundOf, withinOf } from './around.ts'
import { fenced } from './fenced-write.ts'
import type { FenceClaim } from './reports.ts'

/** Model calls of a task. */
export const CALLS_MAX = 10_000

/**
 * Counts a call of a model under the fence. A key that the task has counted before changes nothing. `budgeted`: nothing was counted,
 * since the mission has a budget, or one around it has, and it is to be counted with that.
 */
export async function recordUsage(
  db: Db,
  claim: FenceClaim,
  usage: RecordUsage,
): Promise<{ kind: 'fenced' | 'written' | 'full' | 'budgeted' }> {
  const free = sql`and not ${IS_BUDGETED}`
  const { kind, isBudgeted } = await repeatable(async () => await write(db, claim, usage, free))
  return { kind: kind === 'full' && isBudgeted ? 'budgeted' : kind }
}

/** Of the mission of `held`, or of one around it. */
const IS_BUDGETED = sql`exists (select from (${aroundOf(sql`held.mission_id`)}) a join mission_budgets b on b.mission_id = a.id)`

/** The same in a transaction that also counts it in the budgets; the mission is named when the key is new. */
export async function recordSpending(
  trx: Trx,
  claim: FenceClaim,
  usage: RecordUsage,
): Promise<{ kind: 'fenced' | 'written' | 'full'; missionId: string | undefined }> {
  const { kind, missionId } = await write(trx, claim, usage, sql``)
  return { kind, missionId }
}

interface Counted {
  kind: 'fenced' | 'written' | 'full'
  /** Of a call that was counted now. */
  missionId: string | undefined
  isBudgeted: boolean
}

async function write(
  db: Db,
  claim: FenceClaim,
  { key, model, inputTokens, outputTokens, usd }: RecordUsage,
  where: RawBuilder<unknown>,
): Promise<Counted> {
  const statement = sql<{ held: number; mission_id: string | null; is_budgeted: boolean }>`
    with ${fenced(claim)},
      written as (
        insert into usage (task_id, key, tenant_id, mission_id, attempt, model, input_tokens, output_tokens, usd)
        select id, ${key}, tenant_id, mission_id, attempt, ${model}, ${inputTokens}::bigint, ${outputTokens}::bigint, ${usd}::numeric from held
        where (select count(*) < ${CALLS_MAX} from usage u where u.task_id = ${claim.taskId}) ${where}
        on conflict (task_id, key) do nothing returning mission_id)
    select (select count(*) from held) as held, (select mission_id from written) as mission_id,
      exists (select from held where ${IS_BUDGETED}) as is_budgeted`
  const [row] = (await statement.execute(db)).rows
  if (row === undefined || row.held === 0) return { kind: 'fenced', missionId: undefined, isBudgeted: false }
  const isBudgeted = row.is_budgeted
  if (row.mission_id !== null) return { kind: 'written', missionId: row.mission_id, isBudgeted }
  const known = await db
    .selectFrom('usage')
    .select('key')
    .where('task_id', '=', claim.taskId)
    .where('key', '=', key)
    .executeTakeFirst()
  return { kind: known === undefined ? 'full' : 'written', missionId: undefined, isBudgeted }
}

/** Tasks of an answer, and models of each, the dearest first; what is left out counts in the sums all the same. */
const TASKS_MAX = 10_000
const MODELS_MAX = 20

interface Amounts {
  calls: number
  input: number
  output: number
  usd: number
}

interface Row extends Amounts {
  task_id: string
  key: string
  model: string
  of_task: Amounts
}

interface Limits {
  tokens: number | null
  usd: number | null
  exhausted_at: string | null
}

const SUMS =
  sql.raw(`json_build_object('calls', coalesce(sum(calls), 0), 'input', coalesce(sum(input), 0), 'output', coalesce(sum(output), 0),
  'usd', coalesce(sum(usd), 0))`)

/** What the models of a mission took, added up exactly by the database; undefined for a mission that the tenant does not have. */
export async function readCosts(db: Db, tenantId: string, missionId: string): Promise<MissionCosts | undefined> {
  const found = await sql<{
    total: Amounts
    within: Amounts & { missions: number }
    rows: Row[] | null
    budget: Limits | null
  }>`
    with by_model as materialized (
      select u.task_id, u.model, count(*) as calls, sum(u.input_tokens) as input, sum(u.output_tokens) as output, sum(u.usd) as usd
      from usage u where u.mission_id = ${missionId} group by u.task_id, u.model),
    by_task as (select task_id, ${SUMS} as of_task from by_model group by task_id),
    shown as (select t.id, t.key, b.of_task from by_task b join tasks t on t.id = b.task_id order by t.key, t.id limit ${TASKS_MAX}),
    listed as (
      select s.key, s.of_task, m.*, row_number() over (partition by m.task_id order by m.usd desc, m.model) as nth
      from shown s join by_model m on m.task_id = s.id)
    select (select ${SUMS} from by_model) as total,
      (select json_build_object('missions', count(*), 'calls', coalesce(sum(u.calls), 0), 'input', coalesce(sum(u.input), 0),
        'output', coalesce(sum(u.output), 0), 'usd', coalesce(sum(u.usd), 0)) from (${withinOf(missionId)}) w cross join lateral (
          select count(*) as calls, sum(u.input_tokens) as input, sum(u.output_tokens) as output, sum(u.usd) as usd
          from usage u where u.mission_id = w.id) u) as within,
      (select json_agg(json_build_object('task_id', task_id, 'key', key, 'model', model, 'calls', calls, 'input', input, 'output', output,
        'usd', usd, 'of_task', of_task) order by key, task_id, nth) from listed where nth <= ${MODELS_MAX}) as rows,
      (select json_build_object('tokens', b.tokens_max, 'usd', b.usd_max, 'exhausted_at', b.exhausted_at)
        from mission_budgets b where b.mission_id = ${missionId}) as budget
    from missions where id = ${missionId} and tenant_id = ${tenantId}`.execute(db)
  const [mission] = found.rows
  if (mission === undefined) return undefined
  const ofTasks = Map.groupBy(mission.rows ?? [], (row) => row.task_id)
  return {
    missionId,
    ...(mission.budget === null ? {} : { budget: toBudget(mission.budget) }),
    total: amountsOf(mission.total),
    ...(mission.within.missions === 0
      ? {}
      : { within: { missions: mission.within.missions, ...amountsOf(mission.within) } }),
    tasks: Array.from(ofTasks, ([taskId, models]) => {
      const { key, of_task: sums } = models[0] as Row
      return {
        taskId,
        key,
        ...amountsOf(sums),
        models: models.map((one) => ({ model: one.model, ...amountsOf(one) })),
      }
    }),
  }
}

const toBudget = ({ tokens, usd, exhausted_at: at }: Limits): NonNullable<MissionCosts['budget']> => ({
  ...(tokens === null ? {} : { tokens }),
  ...(usd === null ? {} : { usd }),
  ...(at === null ? {} : { exhaustedAt: new Date(at).toISOString() }),
})

const amountsOf = ({ calls, input, output, usd }: Amounts) => ({ calls, inputTokens: input, outputTokens: output, usd })
