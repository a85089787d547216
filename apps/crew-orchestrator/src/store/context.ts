import type { ContextEntry, ContextList } from '@hypercode/contracts'
import { repeatable } from '@hypercode/db'
import type { Db } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import { WRITTEN, fenced, outboxOf, toldOf } from './fenced-write.ts'
import type { WrittenRow } from './fenced-write.ts'
import type { Written } from './journal.ts'
import type { FenceClaim } from './reports.ts'

/** Keys of a mission, characters of a value, and of all values together. */
export const CONTEXT_KEYS_MAX = 1000
export const CONTEXT_VALUE_CHARS_MAX = 262_144
export const CONTEXT_CHARS_MAX = 8 * 1024 * 1024

export interface ContextWrite {
  key: string
  value: unknown
  /** The version that is replaced, 0 for none; undefined replaces whatever is there. */
  ifVersion: number | undefined
  by: string
}

/** `closed`: the mission takes none any more. `changed`: another version is there. `full`: the mission shares as much as it may. */
export type ContextWritten =
  | Written<{ entry: ContextEntry }>
  | { kind: 'closed' }
  | { kind: 'changed' }
  | { kind: 'full' }

/** A write of a person, who needs no fence but an open mission of the tenant. */
export async function writeContext(
  db: Db,
  tenantId: string,
  missionId: string,
  order: ContextWrite,
): Promise<ContextWritten> {
  const held = sql`held as (
    select null::uuid as id, m.tenant_id, m.id as mission_id, null::text as key, null::int as attempt from missions m
    where m.id = ${missionId} and m.tenant_id = ${tenantId} and m.ended_at is null)`
  const written = await write(db, held, order, true)
  return written.kind === 'fenced' ? { kind: 'closed' } : written
}

/** A write of a running attempt. */
export const writeTaskContext = async (db: Db, claim: FenceClaim, order: ContextWrite): Promise<ContextWritten> =>
  await write(db, fenced(claim), order, false)

interface EntryRow {
  key: string
  value: unknown
  version: number
  task_id: string | null
  updated_by: string
  updated_at: Date
}

/**
 * One statement: the row is replaced when it has the version that was named. The same write of the same attempt again, after a lost
 * answer, finds its own version and changes nothing.
 */
async function write(
  db: Db,
  held: RawBuilder<unknown>,
  { key, value, ifVersion, by }: ContextWrite,
  audited: boolean,
): Promise<ContextWritten> {
  const json = JSON.stringify(value ?? null)
  if (json.length > CONTEXT_VALUE_CHARS_MAX) return { kind: 'full' }
  const expected = ifVersion ?? null
  const mine = sql`c.version = ${expected}::int + 1 and c.task_id = excluded.task_id and c.attempt = excluded.attempt and c.value = excluded.value`
  const audit = sql`, audit_in as (insert into audit (tenant_id, actor, action, ref, detail)
    select h.tenant_id, ${by}, 'context.written', h.mission_id::text, jsonb_build_object('key', ${key}::text, 'version', written.version)
    from held h, written)`
  const statement = sql<WrittenRow & { room: boolean | null; entry: RawEntry | null }>`
    with ${held},
      room as (
        select count(*) filter (where o.key <> ${key}) < ${CONTEXT_KEYS_MAX}
          and coalesce(sum(octet_length(o.value::text)) filter (where o.key <> ${key}), 0) + ${json.length}::int <= ${CONTEXT_CHARS_MAX} as is_there,
          count(*) filter (where o.key = ${key}) > 0 as is_known
        from mission_context o where o.mission_id = (select mission_id from held)),
      written as (
        insert into mission_context as c (mission_id, key, tenant_id, value, version, task_id, attempt, updated_by)
        select mission_id, ${key}, tenant_id, ${json}::jsonb, 1, id, attempt, ${by} from held, room
        where room.is_there and (${expected}::int is null or ${expected}::int = 0 or room.is_known)
        on conflict (mission_id, key) do update set value = excluded.value, task_id = excluded.task_id, attempt = excluded.attempt,
          updated_by = excluded.updated_by, updated_at = now(), version = case when ${mine} then c.version else c.version + 1 end
        where ${expected}::int is null or c.version = ${expected}::int or (${mine})
        returning c.*),
      ${toldOf('context.written', { context: key })} ${audited ? audit : sql``}
    select ${WRITTEN}, (select is_there from room) as room, (select to_jsonb(written) from written) as entry`
  const [row] = (await repeatable(async () => await statement.execute(db))).rows
  if (row === undefined || row.held === 0) return { kind: 'fenced' }
  if (row.room !== true) return { kind: 'full' }
  if (row.entry === null) return { kind: 'changed' }
  const { updated_at: at, ...entry } = row.entry
  return { kind: 'written', outbox: outboxOf(row), entry: toEntry({ ...entry, updated_at: new Date(at) }) }
}

type RawEntry = Omit<EntryRow, 'updated_at'> & { updated_at: string }

export async function readContext(db: Db, missionId: string, key: string): Promise<ContextEntry | undefined> {
  const row = await db
    .selectFrom('mission_context')
    .select(['key', 'value', 'version', 'task_id', 'updated_by', 'updated_at'])
    .where('mission_id', '=', missionId)
    .where('key', '=', key)
    .executeTakeFirst()
  return row === undefined ? undefined : toEntry(row)
}

export async function listContext(db: Db, missionId: string): Promise<ContextList['items']> {
  const rows = await db
    .selectFrom('mission_context')
    .select(['key', 'version', 'task_id', 'updated_by', 'updated_at'])
    .where('mission_id', '=', missionId)
    .orderBy('key')
    .limit(CONTEXT_KEYS_MAX)
    .execute()
  return rows.map(aboutOf)
}

const aboutOf = (row: Omit<EntryRow, 'value'>): ContextList['items'][number] => ({
  key: row.key,
  version: row.version,
  ...(row.task_id === null ? {} : { taskId: row.task_id }),
  updatedBy: row.updated_by,
  updatedAt: row.updated_at.toISOString(),
})

const toEntry = (row: EntryRow): ContextEntry => ({ ...aboutOf(row), value: row.value })
