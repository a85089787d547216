import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'

/**
 * Rows as one parameter: `json_to_recordset($1) as r(id uuid, input jsonb, …)`. A batch of any size is then one statement with one
 * shape, and values of jsonb columns need no escaping of their own. Undefined members become null.
 * `columns` is trusted text of ours, never input.
 */
export function recordset<T>(rows: readonly object[], alias: string, columns: string): RawBuilder<T> {
  return sql<T>`json_to_recordset(${JSON.stringify(rows)}::json) as ${sql.raw(`${alias}(${columns})`)}`
}
