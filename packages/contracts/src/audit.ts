import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { Page, Timestamp, pageQuery } from './common.ts'
import { defineRoute } from './route.ts'

/** One accepted change, written in the transaction of the change and never altered. */
export const AuditEntry = Type.Object(
  {
    id: Type.Integer({ description: 'grows with time' }),
    at: Timestamp,
    actor: Type.String({ description: 'token subject that caused the change, or system' }),
    action: Type.String({ description: 'noun.verb, past tense' }),
    ref: Type.Optional(Type.String({ description: 'id of what was changed' })),
    detail: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: 'AuditEntry', additionalProperties: false },
)
export type AuditEntry = Static<typeof AuditEntry>

export const listAudit = defineRoute({
  service: 'gateway',
  tag: 'audit',
  operationId: 'listAudit',
  method: 'GET',
  path: '/v1/audit',
  summary: 'List who changed what, newest first',
  access: ['audit:read'],
  query: Type.Object(
    { ...pageQuery, ref: Type.Optional(Type.String({ maxLength: 200, description: 'only changes of this id' })) },
    { additionalProperties: false },
  ),
  answers: { 200: Page(AuditEntry, 'AuditPage') },
})
