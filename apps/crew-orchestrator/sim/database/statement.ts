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

/** The rows of `json_to_recordset($n::json) as alias(…)`, the first of that alias in `text`. */
export function records<T>(call: Call, alias: string, text = call.text): T[] {
  const found = new RegExp(`\\$(\\d+)::json\\) as ${alias}\\(`).exec(text)
  if (found === null) throw new Error(`no records ${alias} in: ${text.slice(0, 300)}`)
  return JSON.parse(call.params[Number(found[1]) - 1] as string) as T[]
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
