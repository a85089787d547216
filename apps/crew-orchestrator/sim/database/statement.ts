import type { Session } from './database.ts'
import type { Scope } from './predicate.ts'

/** A statement as it came over the wire. */
export interface Call {
  session: Session
  /** Without comments, with single spaces. */
  text: string
  params: readonly unknown[]
}

/** What Postgres does for one statement of `src/store`. */
export interface Statement {
  /** The function of `src/store` whose statement this is. */
  name: string
  /** Fragments that tell it from all others. */
  marks: readonly string[]
  run: (call: Call) => Promise<object[]> | object[]
}

/** Removes comments and line breaks. */
export const flat = (sql: string): string => sql.replace(/--.*$/gm, '').replace(/\s+/g, ' ').trim()

/** The rows of a `recordset` with this alias, the first of them in `text`: an array per column, `unnest($n::text::uuid[], …)`. */
export function records<T>(call: Call, alias: string, text = call.text): T[] {
  const found =
    new RegExp(`unnest\\(([^()]*)\\) as ${alias}\\(([^()]*)\\)`).exec(text) ??
    new RegExp(`unnest\\(([^()]*)\\) as sent\\(([^()]*)\\)\\) as ${alias}\\b`).exec(text)
  if (found === null) throw new Error(`no records ${alias} in: ${text.slice(0, 300)}`)
  const [, arrays = '', names = ''] = found
  // A column that is an array itself is sent as text, and read by the select around.
  const columns = arrays.split(', ').map((sent, index) => {
    const [, parameter, type] = /^\$(\d+)::text::(\w+)\[\]$/.exec(sent) ?? []
    const name = (names.split(', ')[index] ?? '').replaceAll('"', '')
    const isArray = new RegExp(`\\b${name}::\\w+\\[\\] as ${name}\\b`).test(text)
    return {
      name,
      read: reader(isArray ? 'array' : (type as string)),
      values: call.params[Number(parameter) - 1] as unknown[],
    }
  })
  const length = columns[0]?.values.length ?? 0
  return Array.from({ length }, (_, row) =>
    Object.fromEntries(
      columns.map(({ name, read, values }) => [name, values[row] === null ? null : read(values[row])]),
    ),
  ) as T[]
}

function reader(type: string): (value: unknown) => unknown {
  if (type === 'jsonb') return (value) => JSON.parse(value as string)
  if (type === 'array') return (value) => JSON.parse(`[${(value as string).slice(1, -1)}]`)
  return (value) => value
}

/** What stands between two fragments of the statement. */
export function between(text: string, from: string, to: string): string {
  const start = text.indexOf(from)
  const end = text.indexOf(to, start + from.length)
  if (start === -1 || end === -1) throw new Error(`the model looks for "${from} … ${to}" in: ${text.slice(0, 300)}`)
  return text.slice(start + from.length, end).trim()
}

/** The parameters that `pattern`, with groups for their numbers, finds. */
export function paramsAt(call: Call, pattern: RegExp): unknown[] {
  const found = pattern.exec(call.text)
  if (found === null) throw new Error(`the model looks for ${pattern} in: ${call.text.slice(0, 300)}`)
  return found.slice(1).map((number) => call.params[Number(number) - 1])
}

export const param = <T>(call: Call, pattern: RegExp): T => paramsAt(call, pattern)[0] as T

export const scopeOf = ({ session, params }: Call, rows: Scope['rows']): Scope => ({ rows, params, now: session.now })

export const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1)
