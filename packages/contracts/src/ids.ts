import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { v7 } from 'uuid'

/** A UUID in lower case, as every id of the platform is written. */
export const Id = Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' })
export type Id = Static<typeof Id>

/** A UUIDv7: sorts by the time it was made, so primary keys append instead of scattering. */
export const newId = (): Id => v7()
