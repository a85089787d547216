import { createHash } from 'node:crypto'
import { newId } from '@hypercode/contracts'
import type { Artifact, ReportProgress, StepRecord } from '@hypercode/contracts'
import { repeatable } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import type { OutboxRow } from '@hypercode/events'
import { sql } from 'kysely'
import { WRITTEN, fenced, outboxOf, toldOf } from './fenced-write.ts'
import type { WrittenRow } from './fenced-write.ts'
import type { FenceClaim } from './reports.ts'

/** The answer of a fenced write; `fenced` means that the attempt is not the current one and nothing was written. */
export type Written<T> = { kind: 'fenced' } | ({ kind: 'written'; outbox: OutboxRow | undefined } & T)

/** Steps of a task, and characters of their results together: the next attempt gets all of them with its claim. */
export const STEPS_MAX = 2000
export const STEPS_CHARS_MAX = 4 * 1024 * 1024

/**
 * Journals the result of a step. The first result of a name stays; `created` is false when there was one. Answers `full` when the journal
 * of the task holds as much as it may.
 */
export async function recordStep(
  db: Db,
  claim: FenceClaim,
  step: StepRecord,
): Promise<Written<{ step: StepRecord; created: boolean }> | { kind: 'full' }> {
  const response = JSON.stringify(step.response ?? null)
  const statement = sql<WrittenRow>`
    with ${fenced(claim)},
      written as (
        insert into steps (task_id, name, tenant_id, attempt, request_hash, response)
        select id, ${step.name}, tenant_id, attempt, ${step.requestHash ?? null}, ${response}::jsonb from held
        where (select count(*) < ${STEPS_MAX} and coalesce(sum(octet_length(s.response::text)), 0) + ${response.length}::int <= ${STEPS_CHARS_MAX}
          from steps s where s.task_id = ${claim.taskId})
        on conflict (task_id, name) do nothing returning task_id),
      ${toldOf('task.step.recorded', { step: step.name })}
    select ${WRITTEN}`
  const [row] = (await repeatable(async () => await statement.execute(db))).rows
  if (row === undefined || row.held === 0) return { kind: 'fenced' }
  const stored = await db
    .selectFrom('steps')
    .select(['request_hash', 'response'])
    .where('task_id', '=', claim.taskId)
    .where('name', '=', step.name)
    .executeTakeFirst()
  if (stored === undefined) return { kind: 'full' }
  return {
    kind: 'written',
    created: row.outbox_id !== null,
    outbox: outboxOf(row),
    step: {
      name: step.name,
      ...(stored.request_hash === null ? {} : { requestHash: stored.request_hash }),
      response: stored.response,
    },
  }
}

/** Keeps the latest progress of the attempt and restarts its heartbeat time-out. */
export async function reportProgress(
  db: Db,
  claim: FenceClaim,
  { fraction, message }: ReportProgress,
): Promise<Written<object>> {
  const progress = { fraction, ...(message === undefined ? {} : { message }) }
  const statement = sql<WrittenRow>`
    with ${fenced(claim, sql`, progress = ${JSON.stringify(progress)}::jsonb`)}, written as (select id from held),
      ${toldOf('task.progress', progress)}
    select ${WRITTEN}`
  const [row] = (await repeatable(async () => await statement.execute(db))).rows
  return row === undefined || row.held === 0 ? { kind: 'fenced' } : { kind: 'written', outbox: outboxOf(row) }
}

/**
 * Tells a piece of what the attempt brings out. Answers `full` when the task has brought out as much as it may; from then on nothing more
 * is taken, however short, so that what people read has no hole in it.
 */
export async function streamOutput(
  db: Db,
  claim: FenceClaim,
  text: string,
  maxChars: number,
): Promise<Written<object> | { kind: 'full' }> {
  const said = sql`, said_chars = least(t.said_chars + ${text.length}::int, ${maxChars}::int + 1)`
  const statement = sql<WrittenRow>`
    with ${fenced(claim, said)}, written as (select id from held where said_chars <= ${maxChars}),
      ${toldOf('task.output', { text })}
    select ${WRITTEN}`
  const [row] = (await repeatable(async () => await statement.execute(db))).rows
  if (row === undefined || row.held === 0) return { kind: 'fenced' }
  return row.outbox_id === null ? { kind: 'full' } : { kind: 'written', outbox: outboxOf(row) }
}

/** Artifacts of a task, and their bytes together. */
export const ARTIFACTS_MAX = 200
export const ARTIFACTS_BYTES_MAX = 128 * 1024 * 1024

/** Stores an artifact; one of the same name of the task is replaced. Answers `full` when the task has stored as much as it may. */
export async function storeArtifact(
  db: Db,
  claim: FenceClaim,
  file: { name: string; mediaType: string; content: Buffer },
): Promise<Written<{ artifact: Artifact; created: boolean }> | { kind: 'full' }> {
  const id = newId()
  const sha256 = createHash('sha256').update(file.content).digest('hex')
  const statement = sql<WrittenRow & { id: string | null; task_key: string; created_at: Date }>`
    with ${fenced(claim)},
      written as (
        insert into artifacts (id, tenant_id, mission_id, task_id, task_key, name, media_type, size_bytes, sha256, content, attempt)
        select ${id}, tenant_id, mission_id, id, key, ${file.name}, ${file.mediaType}, ${file.content.length}, ${sha256}, ${file.content}, attempt from held
        where (select count(*) < ${ARTIFACTS_MAX} and coalesce(sum(o.size_bytes), 0) + ${file.content.length}::int <= ${ARTIFACTS_BYTES_MAX}
          from artifacts o where o.task_id = ${claim.taskId} and o.name <> ${file.name})
        on conflict (task_id, name) do update set media_type = excluded.media_type, size_bytes = excluded.size_bytes, sha256 = excluded.sha256,
          content = excluded.content, attempt = excluded.attempt, created_at = now()
        returning id, task_key, created_at),
      ${toldOf('task.artifact.stored', { artifact: file.name, sizeBytes: file.content.length })}
    select ${WRITTEN}, written.id, written.task_key, written.created_at from (select 1) one left join written on true`
  const [row] = (await repeatable(async () => await statement.execute(db))).rows
  if (row === undefined || row.held === 0) return { kind: 'fenced' }
  if (row.id === null) return { kind: 'full' }
  const artifact = {
    id: row.id,
    taskId: claim.taskId,
    taskKey: row.task_key,
    name: file.name,
    mediaType: file.mediaType,
    sizeBytes: file.content.length,
    sha256,
    attempt: claim.attempt,
    createdAt: row.created_at.toISOString(),
  }
  return { kind: 'written', created: row.id === id, outbox: outboxOf(row), artifact }
}
