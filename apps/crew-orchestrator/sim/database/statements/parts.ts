import type { Session } from '../database.ts'
import { records } from '../statement.ts'
import type { Call } from '../statement.ts'

const known = new Map<string, ReadonlyMap<string, string>>()

/** The writing parts (`name as (insert … | update …`) of a statement, by name, and the gate of what it hands over. */
export function partsOf(text: string): ReadonlyMap<string, string> {
  const cached = known.get(text)
  if (cached !== undefined) return cached
  const heads = [...text.matchAll(/(\w+) as (?:materialized )?\((?=insert into|update |select true as open)/g)]
  const parts = new Map(
    heads.map((head, index) => [head[1] as string, text.slice(head.index, heads[index + 1]?.index ?? text.length)]),
  )
  known.set(text, parts)
  return parts
}

/** What a part is given, if the statement has it. */
export const recordsOf = <T>(call: Call, parts: ReadonlyMap<string, string>, name: string): T[] =>
  parts.has(name) ? records<T>(call, 'r', parts.get(name)) : []

export function sendHints(session: Session, payload: readonly unknown[]): number {
  session.database.outboxId += 1
  const id = session.database.outboxId
  // As the migration has it: who wrote it has so long to publish it.
  session.put('outbox', { id: String(id), payload, next_try_at: session.now + 2000, tries: 0 })
  return id
}
