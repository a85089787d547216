import { SchemaError, compileSchema } from '@hypercode/manifest'
import type { SchemaCheck } from '@hypercode/manifest'

/** Characters of a schema as JSON, and schemas within it when every reference is written out. */
export const SCHEMA_CHARS_MAX = 16_384
export const SCHEMA_PARTS_MAX = 2_000
/** Parts of a schema times characters of an output: a check beyond that would hold everybody else up. */
const WORK_MAX = 100_000_000
/** Characters of what the next attempt is told. */
const TOLD_MAX = 2_000
const COMPILED_MAX = 500

const compiled = new Map<string, { check: SchemaCheck; parts: number }>()

/** What is wrong with an output, or undefined when it fits. `chars` is its length as JSON. */
export function outputFault(schema: object, output: unknown, chars: number): string | undefined {
  const { check, parts } = compileOnce(schema)
  if (parts * chars > WORK_MAX) return `the output of ${chars} characters is too large for a schema of ${parts} parts`
  const faults = check(output)
  return faults.length === 0 ? undefined : faults.join('; ').slice(0, TOLD_MAX).toWellFormed()
}

/** What is wrong with a schema, or undefined when outputs can be checked against it. */
export function schemaFault(schema: object): string | undefined {
  try {
    compileOnce(schema)
    return undefined
  } catch (error) {
    if (error instanceof SchemaError) return error.message
    throw error
  }
}

/** Compiling takes longer than checking, and all missions of a crew have the same schemas. */
function compileOnce(schema: object): { check: SchemaCheck; parts: number } {
  const text = JSON.stringify(schema)
  const known = compiled.get(text)
  if (known !== undefined) return known
  if (text.length > SCHEMA_CHARS_MAX) throw new SchemaError(`has more than ${SCHEMA_CHARS_MAX} characters`)
  const made = { parts: partsOf(schema), check: compileSchema(schema) }
  if (compiled.size >= COMPILED_MAX) compiled.delete(compiled.keys().next().value as string)
  compiled.set(text, made)
  return made
}

/**
 * Counts what a check may have to look at. A few references that each name another one twice are a schema of billions of parts, and one
 * that leads back to itself has no end: the schemas come from tenants and are checked in the process of all.
 */
function partsOf(root: object): number {
  const known = new Map<string, number | 'open'>()
  const count = (part: unknown): number => {
    if (typeof part !== 'object' || part === null) return 0
    let parts = 1
    for (const [key, member] of Object.entries(part)) {
      if (key === '$defs') continue
      if (NAMING.has(key)) throw new SchemaError(`uses ${key}; write references as $ref: "#/…"`)
      parts += key === '$ref' && typeof member === 'string' ? countTarget(member) : count(member)
      if (parts > SCHEMA_PARTS_MAX) throw new SchemaError(`has more than ${SCHEMA_PARTS_MAX} parts`)
    }
    return parts
  }
  const countTarget = (reference: string): number => {
    const before = known.get(reference)
    if (before === 'open') throw new SchemaError(`leads back to itself through ${reference}`)
    if (before !== undefined) return before
    known.set(reference, 'open')
    const parts = count(targetOf(root, reference))
    known.set(reference, parts)
    return parts
  }
  return count(root)
}

const NAMING = new Set(['$id', '$anchor', '$dynamicRef', '$dynamicAnchor'])

function targetOf(root: object, reference: string): unknown {
  if (!reference.startsWith('#/')) throw new SchemaError(`refers to ${reference}, which is not within it`)
  let part: unknown = root
  for (const member of reference.slice(2).split('/')) {
    const key = decodeURIComponent(member).replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof part !== 'object' || part === null || !Object.hasOwn(part, key))
      throw new SchemaError(`refers to ${reference}, which is not within it`)
    part = (part as Record<string, unknown>)[key]
  }
  return part
}
