import type { Effect } from '@hypercode/contracts'
import { repeatable } from '@hypercode/db'
import type { Db, Trx } from '@hypercode/db'
import { sql } from 'kysely'
import type { KnownEffect } from '../domain/effects.ts'
import { WRITTEN, fenced, outboxOf, toldOf } from './fenced-write.ts'
import type { WrittenRow } from './fenced-write.ts'
import type { Written } from './journal.ts'
import type { FenceClaim } from './reports.ts'

/** Effects of a task in all its attempts. */
export const EFFECTS_MAX = 500

interface Row extends KnownEffect {
  taskId: string
  name: string
  response: unknown
  createdAt: Date
  doneAt: Date | null
  resolvedBy: string | null
}

const COLUMNS =
  sql.raw(`e.task_id as "taskId", e.name, e.state, e.attempt, e.idempotent, e.request_hash as "requestHash", e.response,
  e.created_at as "createdAt", e.done_at as "doneAt", e.resolved_by as "resolvedBy"`)

/** Writes the intent of an effect that the ledger does not have. `created` is false when it has one of this name. */
export async function storeIntent(
  db: Db,
  claim: FenceClaim,
  effect: { name: string; idempotent: boolean; requestHash: string | null },
): Promise<Written<{ created: boolean }>> {
  const statement = sql<WrittenRow>`
    with ${fenced(claim)},
      written as (
        insert into effects (task_id, name, tenant_id, attempt, state, idempotent, request_hash)
        select id, ${effect.name}, tenant_id, attempt, 'intent', ${effect.idempotent}, ${effect.requestHash} from held
        where (select count(*) < ${EFFECTS_MAX} from effects e where e.task_id = ${claim.taskId})
        on conflict (task_id, name) do nothing returning task_id),
      ${toldOf('task.effect.begun', { effect: effect.name })}
    select ${WRITTEN}`
  return await write(db, statement)
}

/** An attempt takes an effect over that another one was cut off in, and that may be repeated. */
export async function takeOverIntent(db: Db, claim: FenceClaim, name: string): Promise<Written<{ created: boolean }>> {
  const statement = sql<WrittenRow>`
    with ${fenced(claim)},
      written as (
        update effects e set attempt = held.attempt from held
        where e.task_id = held.id and e.name = ${name} and e.state = 'intent' and e.idempotent returning e.task_id),
      ${toldOf('task.effect.begun', { effect: name, again: true })}
    select ${WRITTEN}`
  return await write(db, statement)
}

/** The effect was done by this attempt. */
export async function storeDone(
  db: Db,
  claim: FenceClaim,
  name: string,
  response: unknown,
): Promise<Written<{ created: boolean }>> {
  const statement = sql<WrittenRow>`
    with ${fenced(claim)},
      written as (
        update effects e set state = 'done', response = ${JSON.stringify(response ?? null)}::jsonb, done_at = now() from held
        where e.task_id = held.id and e.name = ${name} and e.state = 'intent' and e.attempt = held.attempt returning e.task_id),
      ${toldOf('task.effect.done', { effect: name })}
    select ${WRITTEN}`
  return await write(db, statement)
}

async function write(
  db: Db,
  statement: { execute: (db: Db) => Promise<{ rows: WrittenRow[] }> },
): Promise<Written<{ created: boolean }>> {
  const [row] = (await repeatable(async () => await statement.execute(db))).rows
  if (row === undefined || row.held === 0) return { kind: 'fenced' }
  return { kind: 'written', outbox: outboxOf(row), created: row.outbox_id !== null }
}

export async function findEffect(
  db: Db,
  taskId: string,
  name: string,
): Promise<{ known: KnownEffect; effect: Effect } | undefined> {
  const found =
    await sql<Row>`select ${COLUMNS} from effects e where e.task_id = ${taskId} and e.name = ${name}`.execute(db)
  const [row] = found.rows
  return row === undefined ? undefined : { known: row, effect: toEffect(row) }
}

/** The effects of a task; undefined for one that the tenant does not have. */
export async function listEffects(db: Db, tenantId: string, taskId: string): Promise<Effect[] | undefined> {
  const found = await sql<Row & { found: string | null }>`
    select t.id, e.task_id as found, ${COLUMNS} from tasks t left join effects e on e.task_id = t.id
    where t.id = ${taskId} and t.tenant_id = ${tenantId} order by e.created_at, e.name`.execute(db)
  if (found.rows.length === 0) return undefined
  return found.rows.filter((row) => row.found !== null).map(toEffect)
}

const toEffect = (row: Row): Effect => ({
  name: row.name,
  key: `${row.taskId}:${row.name}`,
  state: row.state,
  idempotent: row.idempotent,
  attempt: row.attempt,
  ...(row.requestHash === null ? {} : { requestHash: row.requestHash }),
  ...(row.state === 'done' ? { response: row.response } : {}),
  createdAt: row.createdAt.toISOString(),
  ...(row.doneAt === null ? {} : { doneAt: row.doneAt.toISOString() }),
  ...(row.resolvedBy === null ? {} : { resolvedBy: row.resolvedBy }),
})

/** F2: nobody knows whether it has happened. Its task must be locked. */
export async function markUnknown(trx: Trx, taskId: string, name: string): Promise<void> {
  await sql`update effects set state = 'unknown' where task_id = ${taskId} and name = ${name} and state <> 'done'`.execute(
    trx,
  )
}

/** A person says whether an unknown effect has happened; what has not is forgotten. Its task must be locked. Answers how many are unknown yet. */
export async function resolveUnknown(
  trx: Trx,
  taskId: string,
  name: string,
  { done, response, by }: { done: boolean; response: unknown; by: string },
): Promise<number> {
  if (done) {
    await sql`update effects set state = 'done', response = ${JSON.stringify(response ?? null)}::jsonb, done_at = now(), resolved_by = ${by}
      where task_id = ${taskId} and name = ${name} and state = 'unknown'`.execute(trx)
  } else {
    await sql`delete from effects where task_id = ${taskId} and name = ${name} and state = 'unknown'`.execute(trx)
  }
  const left = await sql<{
    n: number
  }>`select count(*) as n from effects where task_id = ${taskId} and state = 'unknown'`.execute(trx)
  return left.rows[0]?.n ?? 0
}
