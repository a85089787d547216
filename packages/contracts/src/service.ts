import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'

/** Answer of /readyz: every check by name, so that a dead loop or server is named. */
export const Readiness = Type.Object(
  {
    ready: Type.Boolean(),
    service: Type.String(),
    checks: Type.Record(
      Type.String(),
      Type.Object(
        { ok: Type.Boolean(), ms: Type.Optional(Type.Number()), detail: Type.Optional(Type.String()) },
        { additionalProperties: false },
      ),
    ),
  },
  { $id: 'Readiness', additionalProperties: false },
)
export type Readiness = Static<typeof Readiness>
