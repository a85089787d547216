import type { TSchema } from '@sinclair/typebox'

/**
 * A copy of the schema as plain JSON Schema without its `$id`s. The same named schema stands inside several others; with the names
 * left in, compilers would take each occurrence for another definition of one thing.
 */
export function plainSchema(schema: TSchema): Record<string, unknown> {
  return JSON.parse(JSON.stringify(schema, (key, value: unknown) => (key === '$id' ? undefined : value))) as Record<
    string,
    unknown
  >
}
