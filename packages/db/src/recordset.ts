import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'

/**
 * Rows as one array per column: `unnest($1::text::uuid[], $2::text::jsonb[], …) as r(id, input, …)`. A batch of any size is then one statement of one
 * shape. Undefined and null members become null; those of jsonb columns are values, not texts.
 * Postgres takes 1.2 ms for 1,000 rows of 25 columns, an eighth of what `json_to_recordset` takes for the same.
 * By way of a text, the planner does not see how long the arrays are: it would take statements of every other length for other plans.
 * `columns` is trusted text of ours, never input: `id uuid, input jsonb, …`.
 */
export function recordset<T>(rows: readonly object[], alias: string, columns: string): RawBuilder<T> {
  const list = columnsOf(columns)
  const arrays = sql.join(
    list.map(({ name, type, sent }) => sql`${valuesOf(rows, name, type)}::text::${sql.raw(sent)}[]`),
  )
  const names = list.map(({ quoted }) => quoted).join(', ')
  if (list.every(({ type, sent }) => type === sent))
    return sql<T>`unnest(${arrays}) as ${sql.raw(`${alias}(${names})`)}`
  // Postgres has no arrays of arrays of different lengths: they come as texts.
  const read = list.map(({ quoted, type, sent }) => (type === sent ? quoted : `${quoted}::${type} as ${quoted}`))
  return sql<T>`(select ${sql.raw(read.join(', '))} from unnest(${arrays}) as ${sql.raw(`sent(${names})`)}) as ${sql.raw(alias)}`
}

interface Column {
  /** Of the rows' member. */
  readonly name: string
  /** As it stands in the statement. */
  readonly quoted: string
  readonly type: string
  /** The type of an element of the array that is sent. */
  readonly sent: string
}

const known = new Map<string, readonly Column[]>()

function columnsOf(columns: string): readonly Column[] {
  let list = known.get(columns)
  if (list === undefined) {
    list = columns.split(',').map((column) => {
      const [quoted = '', type = ''] = column.trim().split(/\s+/)
      return { name: quoted.replaceAll('"', ''), quoted, type, sent: type.endsWith('[]') ? 'text' : type }
    })
    known.set(columns, list)
  }
  return list
}

function valuesOf(rows: readonly object[], name: string, type: string): unknown[] {
  const values = rows.map((row) => (row as Readonly<Record<string, unknown>>)[name] ?? null)
  if (type === 'jsonb' || type === 'json') return values.map((value) => (value === null ? null : JSON.stringify(value)))
  if (type.endsWith('[]')) return values.map((value) => (value === null ? null : arrayText(value as readonly string[])))
  if (type === 'text') values.forEach(assertWhole)
  return values
}

/** Half of a surrogate pair would be stored as another character, silently. */
function assertWhole(value: unknown): void {
  if (typeof value === 'string' && !value.isWellFormed()) throw new TypeError('a text holds half of a surrogate pair')
}

const arrayText = (items: readonly string[]): string =>
  `{${items.map((item) => `"${item.replaceAll(/["\\]/g, String.raw`\$&`)}"`).join(',')}}`
