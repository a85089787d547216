/**
 * Reads conditions out of the real statements, so that the model judges rows by what the SQL says and not by a copy of it. It knows
 * conjunctions of comparisons, or of two to choose from, which is what fences and state lists are made of, and refuses everything else by
 * name.
 */
import type { TaskRow } from './rows.ts'

export interface Scope {
  /** Rows by their alias. */
  rows: Readonly<Record<string, object | undefined>>
  params: readonly unknown[]
  now: number
}
export type Predicate = (scope: Scope) => boolean
type Operand = (scope: Scope) => unknown

const known = new Map<string, Predicate>()

/** The condition as a function; `text` has no comments and single spaces. */
export function predicate(text: string): Predicate {
  const cached = known.get(text)
  if (cached !== undefined) return cached
  const parts = text
    .replace(/^and /, '')
    .split(/\s+and\s+(?![^()]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(conjunct)
  const all: Predicate = (scope) => parts.every((part) => part(scope))
  known.set(text, all)
  return all
}

function conjunct(text: string): Predicate {
  const mission = /^\(select (.*) from missions m where m\.id = t\.mission_id\)$/.exec(text)
  if (mission?.[1] !== undefined) return predicate(mission[1])
  const choice = /^\(([^()]*) or ([^()]*)\)$/.exec(text)
  if (choice !== null) {
    const [one, other] = [predicate(choice[1] as string), predicate(choice[2] as string)]
    return (scope) => one(scope) || other(scope)
  }
  const nullness = /^(\S+) is (not )?null$/.exec(text)
  if (nullness !== null) {
    const value = operand(nullness[1] as string)
    const wanted = nullness[2] !== undefined
    return (scope) => (value(scope) !== null && value(scope) !== undefined) === wanted
  }
  const membership = /^(\S+) (not )?in \(([^()]*)\)$/.exec(text)
  if (membership !== null) {
    const value = operand(membership[1] as string)
    const list = (membership[3] as string).split(',').map((one) => operand(one.trim()))
    const wanted = membership[2] === undefined
    return (scope) => list.some((one) => one(scope) === value(scope)) === wanted
  }
  const any = /^(\S+) = any\((\$\d+)::uuid\[\]\)$/.exec(text)
  if (any !== null) {
    const value = operand(any[1] as string)
    const list = operand(any[2] as string)
    return (scope) => (list(scope) as unknown[]).includes(value(scope))
  }
  const comparison = /^(\S+) (=|<>|<@|<=|>=|<|>) (\S+)$/.exec(text)
  if (comparison !== null) {
    const [left, right] = [operand(comparison[1] as string), operand(comparison[3] as string)]
    const compare = COMPARISONS[comparison[2] as string] as (a: unknown, b: unknown) => boolean
    return (scope) => {
      const [a, b] = [left(scope), right(scope)]
      return a !== null && a !== undefined && b !== null && b !== undefined && compare(a, b)
    }
  }
  if (/^\w+\.\w+$/.test(text)) {
    const value = operand(text)
    return (scope) => value(scope) === true
  }
  throw new Error(`the model cannot read the condition: ${text}`)
}

const COMPARISONS: Readonly<Record<string, (a: unknown, b: unknown) => boolean>> = {
  '=': (a, b) => a === b,
  '<>': (a, b) => a !== b,
  '<@': (a, b) => (a as unknown[]).every((one) => (b as unknown[]).includes(one)),
  '<=': (a, b) => (a as number) <= (b as number),
  '>=': (a, b) => (a as number) >= (b as number),
  '<': (a, b) => (a as number) < (b as number),
  '>': (a, b) => (a as number) > (b as number),
}

function operand(text: string): Operand {
  if (text === 'now()') return ({ now }) => now
  const literal = /^'([^']*)'$/.exec(text)
  if (literal !== null) return () => literal[1]
  const param = /^\$(\d+)(::\w+(\[\])?)?$/.exec(text)
  if (param !== null) {
    const index = Number(param[1]) - 1
    return ({ params }) => params[index]
  }
  const column = /^(\w+)\.(\w+)$/.exec(text)
  if (column !== null) {
    const [, alias, name] = column as unknown as [string, string, string]
    // A generated column.
    if (name === 'ungated') {
      return ({ rows }) => {
        const task = rows[alias] as TaskRow
        return task.concurrency_key === null && !task.held
      }
    }
    return ({ rows }) => (rows[alias] as Record<string, unknown> | undefined)?.[name]
  }
  throw new Error(`the model cannot read: ${text}`)
}
