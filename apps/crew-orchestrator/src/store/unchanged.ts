/**
 * Lets a statement write what was decided without locks: it locks what it writes, tasks first and missions next, as a report does that
 * looks before it decides, and writes nothing unless all of it is as it was.
 */
import { recordset } from '@hypercode/db'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import { IS_HELD, REPORT_COLUMNS, reportRecords } from './reports.ts'
import type { FenceClaim } from './reports.ts'

/** Whatever is written to a mission, or to what an attempt of it holds, makes a new version of it. It is stored with this one. */
const FIRST_VERSION = 1

/**
 * `unchanged` has a row when each of these attempts is held and belongs to a mission of its own, to which nothing was written since it was
 * stored. A row that this has to wait for is looked at anew when it is free.
 */
export function unchangedParts(claims: readonly FenceClaim[]): RawBuilder<unknown>[] {
  return [
    sql`held as materialized (select t.mission_id
      from ${recordset(reportRecords(claims), 'r', REPORT_COLUMNS)}
      join agent_instances i on i.tenant_id = r.tenant_id and i.subject = r.subject
      join tasks t on t.id = r.task_id and t.tenant_id = r.tenant_id
      where ${IS_HELD} order by t.id for no key update of t)`,
    sql`still as materialized (select m.id from missions m
      where m.id = any(array(select mission_id from held)) and m.version = ${FIRST_VERSION}::int order by m.id for no key update)`,
    sql`unchanged as materialized (select true as open where (select count(*) from still) = ${claims.length}::int)`,
  ]
}

const IS_UNCHANGED = 'exists (select from unchanged)'
export const ONLY_UNCHANGED = { where: sql.raw(`where ${IS_UNCHANGED}`), and: sql.raw(`and ${IS_UNCHANGED}`) }
export const ALWAYS = { where: sql``, and: sql`` }
