import { Type } from '@sinclair/typebox'

/** What a caller names a request by that must not be carried out twice: printable ASCII without spaces. */
export const IdempotencyKey = Type.String({ minLength: 1, maxLength: 200, pattern: '^[\\x21-\\x7e]+$' })

/** Headers of a route that carries out no request twice. */
export const idempotencyHeaders = { 'idempotency-key': Type.Optional(IdempotencyKey) } as const
