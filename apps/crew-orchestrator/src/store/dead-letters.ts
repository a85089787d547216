import type { DeadLetter, TaskError } from '@hypercode/contracts'
import type { Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'

interface AttemptRecord {
  attempt: number
  outcome: string | null
  startedAt: string
  endedAt: string | null
  error: TaskError | null
  agentInstanceId: string
}

interface Row {
  id: string
  task_id: string
  mission_id: string
  key: string
  error: TaskError
  created_at: Date
  resolution: 'replayed' | 'discarded' | null
  resolved_at: Date | null
  resolved_by: string | null
  attempts: AttemptRecord[] | null
  input?: unknown
}

export interface DeadLetterQuery {
  limit: number
  cursor?: string | undefined
  missionId?: string | undefined
  open?: boolean | undefined
}

/** Newest first, each with the record of every attempt. */
export async function listDeadLetters(db: Db, tenantId: string, filter: DeadLetterQuery): Promise<DeadLetter[]> {
  return await read(
    db,
    sql`where d.tenant_id = ${tenantId}
      ${filter.cursor === undefined ? sql`` : sql`and d.id < ${filter.cursor}::uuid`}
      ${filter.missionId === undefined ? sql`` : sql`and d.mission_id = ${filter.missionId}`}
      ${filter.open === true ? sql`and d.resolution is null` : sql``}
      order by d.id desc limit ${filter.limit}`,
  )
}

export async function findDeadLetter(db: Db, tenantId: string, id: string): Promise<DeadLetter | undefined> {
  const input = sql`, (select t.input from tasks t where t.id = d.task_id) as input`
  return (await read(db, sql`where d.tenant_id = ${tenantId} and d.id = ${id}`, input))[0]
}

async function read(db: Db, rest: RawBuilder<unknown>, more: RawBuilder<unknown> = sql``): Promise<DeadLetter[]> {
  const found = await sql<Row>`
    select d.*, (select json_agg(json_build_object('attempt', a.attempt, 'outcome', a.outcome, 'startedAt', a.started_at, 'endedAt', a.ended_at,
        'error', a.error, 'agentInstanceId', a.agent_instance_id) order by a.attempt) from attempts a where a.task_id = d.task_id) as attempts ${more}
    from dead_letters d ${rest}`.execute(db)
  return found.rows.map(toDeadLetter)
}

const toDeadLetter = (row: Row): DeadLetter => ({
  id: row.id,
  taskId: row.task_id,
  missionId: row.mission_id,
  key: row.key,
  ...(row.input === undefined ? {} : { input: row.input }),
  error: row.error,
  attempts: (row.attempts ?? []).map((attempt) => ({
    attempt: attempt.attempt,
    outcome: attempt.outcome ?? 'running',
    startedAt: new Date(attempt.startedAt).toISOString(),
    ...(attempt.endedAt === null ? {} : { endedAt: new Date(attempt.endedAt).toISOString() }),
    ...(attempt.error === null ? {} : { error: attempt.error }),
    agentInstanceId: attempt.agentInstanceId,
  })),
  createdAt: row.created_at.toISOString(),
  ...(row.resolution === null ? {} : { resolution: row.resolution }),
  ...(row.resolved_at === null ? {} : { resolvedAt: row.resolved_at.toISOString() }),
  ...(row.resolved_by === null ? {} : { resolvedBy: row.resolved_by }),
})

/** Closes what is open about a task. */
export async function resolveOpenLetters(
  trx: Trx,
  taskId: string,
  resolution: 'replayed' | 'discarded',
  actor: string,
): Promise<void> {
  await trx
    .updateTable('dead_letters')
    .set({ resolution, resolved_at: sql<Date>`now()`, resolved_by: actor })
    .where('task_id', '=', taskId)
    .where('resolution', 'is', null)
    .execute()
}

/** Closes the letter; false when somebody has done so before. */
export async function resolveDeadLetter(
  trx: Trx,
  tenantId: string,
  id: string,
  resolution: 'replayed' | 'discarded',
  actor: string,
): Promise<boolean> {
  const result = await trx
    .updateTable('dead_letters')
    .set({ resolution, resolved_at: sql<Date>`now()`, resolved_by: actor })
    .where('id', '=', id)
    .where('tenant_id', '=', tenantId)
    .where('resolution', 'is', null)
    .executeTakeFirst()
  return result.numUpdatedRows === 1n
}
