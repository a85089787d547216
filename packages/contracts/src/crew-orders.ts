import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { Name } from './common.ts'
import { idempotencyHeaders } from './idempotency.ts'
import { Id } from './ids.ts'
import { defineRoute } from './route.ts'
import { SendSignal } from './waits.ts'

const closed = { additionalProperties: false } as const

const bounds = {
  version: Type.Optional(Type.Integer({ minimum: 1, description: 'only missions of this version of the crew' })),
  after: Type.Optional(Type.Unsafe<Id>({ ...Id, description: 'only later missions: the `last` of the call before' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 500 })),
}

export const Broadcast = Type.Object(
  { ...SendSignal.properties, ...bounds },
  { $id: 'Broadcast', additionalProperties: false },
)
export type Broadcast = Static<typeof Broadcast>

export const Disband = Type.Object(
  { reason: Type.Optional(Type.String({ maxLength: 1000 })), ...bounds },
  { $id: 'Disband', additionalProperties: false },
)
export type Disband = Static<typeof Disband>

/** What was done to the missions of a crew, oldest first. */
export const CrewOrderAnswer = Type.Object(
  {
    done: Type.Integer({ description: 'missions that it reached' }),
    skipped: Type.Integer({ description: 'missions that could not take it, or had ended meanwhile' }),
    last: Type.Optional(Type.Unsafe<Id>({ ...Id, description: 'the last mission that this call looked at' })),
    more: Type.Boolean({ description: 'there are later ones: call again with after: last' }),
  },
  { $id: 'CrewOrderAnswer', additionalProperties: false },
)
export type CrewOrderAnswer = Static<typeof CrewOrderAnswer>

const crews = { service: 'crew-orchestrator', tag: 'crews', method: 'POST' } as const
const params = Type.Object({ name: Name }, closed)

export const broadcastToCrew = defineRoute({
  ...crews,
  operationId: 'broadcastToCrew',
  path: '/v1/crews/{name}:broadcast',
  summary: 'Give a signal to every open mission of a crew; a repeat with its Idempotency-Key reaches each mission once',
  access: ['mission:write'],
  params,
  headers: Type.Object(idempotencyHeaders),
  body: Broadcast,
  answers: { 200: CrewOrderAnswer },
})

export const disbandCrew = defineRoute({
  ...crews,
  operationId: 'disbandCrew',
  path: '/v1/crews/{name}:disband',
  summary: 'Cancel every open mission of a crew',
  access: ['mission:cancel'],
  params,
  body: Disband,
  answers: { 200: CrewOrderAnswer },
})
