import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'

/** One fault inside a body: where it is and what is wrong with it. */
export const Fault = Type.Object(
  {
    pointer: Type.String({ description: 'JSON pointer into the body, "" for the body itself' }),
    message: Type.String(),
    line: Type.Optional(Type.Integer({ minimum: 1, description: 'line in the text as it was sent, from 1' })),
    column: Type.Optional(Type.Integer({ minimum: 1 })),
    fix: Type.Optional(Type.String()),
  },
  { $id: 'Fault', additionalProperties: false },
)
export type Fault = Static<typeof Fault>

/** RFC 9457 problem details: the body of every error answer, as `application/problem+json`. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'URI of the kind of problem' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'stable word to branch on' }),
    detail: Type.Optional(Type.String()),
    fix: Type.Optional(Type.String({ description: 'what the caller can do about it' })),
    faults: Type.Optional(Type.Array(Fault)),
    correlationId: Type.String(),
  },
  { $id: 'Problem', additionalProperties: false },
)
export type Problem = Static<typeof Problem>
