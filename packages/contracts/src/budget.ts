import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { StringEnum } from './string-enum.ts'

const limits = {
  tokens: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1_000_000_000_000, description: 'of input and output together' }),
  ),
  usd: Type.Optional(Type.Number({ minimum: 0.000_001, maximum: 1_000_000 })),
}

/** What the models of one mission, and of those within it, may use. Nothing further of them is begun once one of the limits is reached. */
export const Budget = Type.Object(limits, {
  $id: 'Budget',
  additionalProperties: false,
  minProperties: 1,
  description:
    'what the models of the mission, and of the missions within it, may use; all of them are paused when one of these is used up',
})
export type Budget = Static<typeof Budget>

/** The same in a manifest, which may also say what happens then. */
export const ManifestBudget = Type.Object(
  { ...limits, onExhausted: Type.Optional(StringEnum(['pause'])) },
  { additionalProperties: false, description: 'what the models of one mission may use' },
)
