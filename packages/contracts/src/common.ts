import { Type } from '@sinclair/typebox'
import type { Static, TSchema } from '@sinclair/typebox'
import { Id } from './ids.ts'

/** An instant as RFC 3339 text in UTC. */
export const Timestamp = Type.String({ format: 'date-time' })
export type Timestamp = Static<typeof Timestamp>

/** Names that people give to agents and crews. */
export const Name = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
  description: 'lower case letters, digits and dashes',
})

export const Labels = Type.Record(
  Type.String({ pattern: '^[a-z0-9][a-z0-9._/-]{0,62}$' }),
  Type.String({ maxLength: 200 }),
  { maxProperties: 32, additionalProperties: false },
)
export type Labels = Static<typeof Labels>

/** Any JSON value; its depth and text are checked at the edge. */
export const Json = Type.Unknown()

export const IdParams = Type.Object({ id: Id }, { additionalProperties: false })

/** Query of every list: newest first, `cursor` as the page before gave it. */
export const pageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 50 })),
  cursor: Type.Optional(Type.String({ maxLength: 200 })),
}

export const Page = <T extends TSchema>(item: T, $id: string) =>
  Type.Object(
    { items: Type.Array(item), nextCursor: Type.Optional(Type.String({ description: 'absent on the last page' })) },
    { $id, additionalProperties: false },
  )
