import { Kind, Type, TypeRegistry } from '@sinclair/typebox'
import type { TSchema, TUnsafe } from '@sinclair/typebox'

/** One of a few words. A plain JSON Schema `enum`, which reads better in OpenAPI and in errors than a union of literals. */
export function StringEnum<const T extends readonly string[]>(values: T, options: object = {}): TUnsafe<T[number]> {
  return Type.Unsafe<T[number]>({ ...options, [Kind]: 'StringEnum', type: 'string', enum: [...values] })
}

// TypeBox's own checker refuses kinds that it does not know.
TypeRegistry.Set(
  'StringEnum',
  (schema: TSchema & { enum?: readonly unknown[] }, value) => schema.enum?.includes(value) ?? false,
)
