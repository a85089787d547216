import { Type } from '@sinclair/typebox'

/** The fence of every write of an agent, beside the instance itself, which comes from the token. As large as its columns can hold. */
export const fence = {
  incarnation: Type.Integer({
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'of the registration; the instance itself comes from the token',
  }),
  attempt: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }),
}
