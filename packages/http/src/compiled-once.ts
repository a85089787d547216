import { plainSchema } from '@hypercode/contracts'
import type { TSchema } from '@sinclair/typebox'

/**
 * `compile` for schemas, with a memory of its own: what has the same text is compiled once in a process. The routes of a service share
 * their problems and many of their parameters, and a process that opens a service again would compile some 200 schemas again, 140 ms
 * of work; Ajv and its like keep what they have compiled in any case. What comes out must keep nothing between two calls.
 */
export function compiledOnce<T>(compile: (plain: Record<string, unknown>) => T): (schema: TSchema) => T {
  const known = new Map<string, T>()
  return (schema) => {
    const plain = plainSchema(schema)
    const text = JSON.stringify(plain)
    const found = known.get(text)
    if (found !== undefined) return found
    const made = compile(plain)
    known.set(text, made)
    return made
  }
}
