import { blueprintOfMark, parseClaimSkill } from '@hypercode/contracts'
import type { Artifact, Task, TaskError, TaskState, Verification } from '@hypercode/contracts'
import type { Cut, Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import { charsOf, readPage } from '@hypercode/db'

interface Row {
  id: string
  mission_id: string
  key: string
  state: TaskState
  reason: string | null
  queue: string
  requires: string[]
  priority: number
  attempt: number
  max_attempts: number
  input: unknown
  output: unknown
  error: TaskError | null
  progress: { fraction: number; message?: string } | null
  lease_owner: string | null
  available_at: Date | null
  lease_expires_at: Date | null
  created_at: Date
  started_at: Date | null
  ended_at: Date | null
  version: number
  blocked_by: number
  /** With instants as Postgres writes them in JSON. */
  verification: Verification | null
  with_skill: number
  with_slot: number
}

/**
 * For queued tasks: how many instances could take them, and how many of those have a free slot. Says why they are not running. Counted once
 * for all tasks of a page that need the same: the elements of a forEach do, and there may be many agents.
 */
const CANDIDATES = sql`
  select n.tenant_id, n.queue, n.requires, c.*
  from (select distinct tenant_id, queue, requires from page where state = 'queued') n cross join lateral (
    select count(*) as with_skill, count(*) filter (where i.slots > (select count(*) from tasks u where u.lease_owner = i.id)) as with_slot
    from agent_instances i where i.tenant_id = n.tenant_id and i.lifecycle = 'ready' and i.lease_expires_at > now()
      and n.queue = any(i.skills) and n.requires <@ i.skills) c`

/** The last round of a task with `verify`. */
const LAST_ROUND = sql`case when t.policy ? 'verify' then (
  select json_strip_nulls(json_build_object('kind', v.kind, 'round', v.round, 'maxRounds', t.policy -> 'verify' -> 'maxRounds', 'state', v.state,
    'attempt', v.attempt, 'reason', v.reason, 'taskId', v.verifier_task_id, 'approvalId', v.approval_id, 'createdAt', v.created_at, 'decidedAt', v.decided_at))
  from verifications v where v.task_id = t.id order by v.round desc limit 1) end`

const toVerification = ({ createdAt, decidedAt, ...rest }: Verification): Verification => ({
  ...rest,
  createdAt: new Date(createdAt).toISOString(),
  ...(decidedAt === undefined ? {} : { decidedAt: new Date(decidedAt).toISOString() }),
})

export async function findTask(db: Db, tenantId: string, id: string): Promise<Task | undefined> {
  return (await read(db, sql`where t.id = ${id} and t.tenant_id = ${tenantId}`, 1)).rows[0]
}

/** In the order in which they were planned; the cursor is the id of the last one of the page before. */
export async function listTasks(
  db: Db,
  missionId: string,
  limit: number,
  cursor: string | undefined,
): Promise<Cut<Task>> {
  return await read(
    db,
    sql`where t.mission_id = ${missionId} ${cursor === undefined ? sql`` : sql`and t.id > ${cursor}::uuid`}`,
    limit,
  )
}

async function read(db: Db, where: RawBuilder<unknown>, limit: number): Promise<Cut<Task>> {
  const rows = sql`
    with page as materialized (select * from tasks t ${where} order by t.id limit ${limit}), candidates as materialized (${CANDIDATES})
    select t.id, t.mission_id, t.key, t.state, t.reason, t.queue, t.requires, t.priority, t.attempt, t.max_attempts, t.input, t.output, t.error, t.progress, t.lease_owner,
      t.available_at, t.lease_expires_at, t.created_at, t.started_at, t.ended_at, t.version, t.blocked_by, ${LAST_ROUND} as verification, coalesce(c.with_skill, 0) as with_skill, coalesce(c.with_slot, 0) as with_slot
    from page t left join candidates c on t.state = 'queued' and c.tenant_id = t.tenant_id and c.queue = t.queue and c.requires = t.requires
    order by t.id`
  const page = await readPage<Row>(db, rows, sql`${charsOf('input')} + ${charsOf('output')}`, sql`p.id`)
  return { ...page, rows: page.rows.map(toTask) }
}

function toTask(row: Row): Task {
  const reason = reasonOf(row)
  return {
    id: row.id,
    missionId: row.mission_id,
    key: row.key,
    state: row.state,
    ...(reason === null ? {} : { reason }),
    skill: parseClaimSkill(row.queue).skill,
    priority: row.priority,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    input: row.input ?? null,
    ...(row.state === 'completed' ? { output: row.output ?? null } : {}),
    ...(row.error === null ? {} : { error: row.error }),
    ...(row.verification === null ? {} : { verification: toVerification(row.verification) }),
    ...(row.progress === null ? {} : { progress: row.progress }),
    ...(row.lease_owner === null ? {} : { agentInstanceId: row.lease_owner }),
    ...(row.available_at === null ? {} : { availableAt: row.available_at.toISOString() }),
    ...(row.lease_expires_at === null ? {} : { leaseExpiresAt: row.lease_expires_at.toISOString() }),
    createdAt: row.created_at.toISOString(),
    ...(row.started_at === null ? {} : { startedAt: row.started_at.toISOString() }),
    ...(row.ended_at === null ? {} : { endedAt: row.ended_at.toISOString() }),
    version: row.version,
  }
}

function reasonOf(row: Row): string | null {
  if (row.state === 'blocked') return `waits for ${row.blocked_by} of its dependencies`
  if (row.state !== 'queued') return row.reason
  if (row.with_skill === 0) return `no live agent has the skills it needs (${neededBy(row)})`
  if (row.with_slot === 0) return `all ${row.with_skill} agents with the skill ${neededBy(row)} are busy`
  return row.reason ?? 'an agent will take it at its next claim'
}

/** `code.edit`, or `code.edit, of blueprint coder@3, in pool gym-7`. */
function neededBy({ queue, requires }: Row): string {
  const { skill, pool } = parseClaimSkill(queue)
  const blueprint = requires.map(blueprintOfMark).find((one) => one !== undefined)
  const others = requires.filter((one) => blueprintOfMark(one) === undefined).map((one) => parseClaimSkill(one).skill)
  return [
    skill,
    ...others,
    ...(blueprint === undefined ? [] : [`of blueprint ${blueprint}`]),
    ...(pool === undefined ? [] : [`in pool ${pool}`]),
  ].join(', ')
}

interface ArtifactRow {
  id: string
  task_id: string
  task_key: string
  name: string
  media_type: string
  size_bytes: number
  sha256: string
  attempt: number
  created_at: Date
}

export async function listArtifacts(
  db: Db,
  missionId: string,
  limit: number,
  cursor: string | undefined,
): Promise<Artifact[]> {
  const found = await sql<ArtifactRow>`
    select id, task_id, task_key, name, media_type, size_bytes, sha256, attempt, created_at from (
      select * from artifacts where mission_id = ${missionId}
      union all
      -- What a task has done that this mission keeps is there for its other tasks.
      select f.* from tasks t join artifacts f on f.task_id = t.kept_from where t.mission_id = ${missionId} and t.kept_from is not null) f
    where true ${cursor === undefined ? sql`` : sql`and id > ${cursor}::uuid`} order by id limit ${limit}`.execute(db)
  return found.rows.map((row) => ({
    id: row.id,
    taskId: row.task_id,
    taskKey: row.task_key,
    name: row.name,
    mediaType: row.media_type,
    sizeBytes: row.size_bytes,
    sha256: row.sha256,
    attempt: row.attempt,
    createdAt: row.created_at.toISOString(),
  }))
}

export async function findArtifact(
  db: Db,
  tenantId: string,
  taskId: string,
  name: string,
): Promise<{ mediaType: string; sha256: string; content: Buffer } | undefined> {
  const row = await db
    .selectFrom('artifacts')
    .select(['media_type', 'sha256', 'content'])
    .where('task_id', '=', taskId)
    .where('name', '=', name)
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst()
  return row === undefined ? undefined : { mediaType: row.media_type, sha256: row.sha256, content: row.content }
}
