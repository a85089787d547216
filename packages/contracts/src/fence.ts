import { Type } from '@sinclair/typebox'

/** The fence of every write of an agent, beside the instance itself, which comes from the token. */
export const fence = {
  incarnation: Type.Integer({
    minimum: 1,
    description: 'of the registration; the instance itself comes from the token',
  }),
  attempt: Type.Integer({ minimum: 1 }),
}
