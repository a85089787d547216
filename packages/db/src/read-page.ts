import type { Db } from './schema.ts'
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'

/** Characters of the values of a page, about; a larger one is cut short, except for its first row. */
const PAGE_CHARS_MAX = 4 * 1024 * 1024

/** Rows of a list; `cut` when there were more, which would have made the page too large. */
export interface Cut<T> {
  rows: T[]
  cut: boolean
}

/**
 * Reads a page whose rows hold values of any size: five hundred inputs of some megabytes would be more than this process can hold.
 * `chars` measures a row `p` of `rows`, and `order` is how they are sorted.
 */
export async function readPage<T>(
  db: Db,
  rows: RawBuilder<unknown>,
  chars: RawBuilder<unknown>,
  order: RawBuilder<unknown>,
): Promise<Cut<T>> {
  const found = await sql<T & { found: number }>`
    select * from (
      select p.*, count(*) over () as found, row_number() over sorted as nth, sum(${chars}) over sorted as chars_so_far
      from (${rows}) p window sorted as (order by ${order} rows unbounded preceding)) p
    where nth = 1 or chars_so_far <= ${PAGE_CHARS_MAX} order by nth`.execute(db)
  return { rows: found.rows, cut: found.rows.length < (found.rows[0]?.found ?? 0) }
}

/** Characters of a jsonb value as text; for `readPage`. */
export const charsOf = (column: 'input' | 'output' | 'response' | 'manifest' | 'reasons'): RawBuilder<number> =>
  sql<number>`coalesce(octet_length(${sql.ref(`p.${column}`)}::text), 0)`
