import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { IdParams, Json, Timestamp } from './common.ts'
import { fence } from './fence.ts'
import { Id } from './ids.ts'
import { StepName } from './journal.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'

const closed = { additionalProperties: false } as const
const { incarnation, attempt } = fence

/** Characters of what an effect answers. */
export const EFFECT_RESPONSE_MAX_CHARS = 64 * 1024

export const EFFECT_STATES = ['intent', 'done', 'unknown'] as const

/** Something that a task does to the world outside. Its key names it there: `<taskId>:<name>`, the same in every attempt. */
export const Effect = Type.Object(
  {
    name: Type.String(),
    key: Type.String(),
    state: StringEnum(EFFECT_STATES, {
      description: 'unknown: an attempt was cut off in it, and it must not be repeated',
    }),
    idempotent: Type.Boolean({ description: 'doing it again under its key changes nothing' }),
    attempt,
    requestHash: Type.Optional(Type.String()),
    response: Type.Optional(Json),
    createdAt: Timestamp,
    doneAt: Type.Optional(Timestamp),
    resolvedBy: Type.Optional(Type.String()),
  },
  { $id: 'Effect', additionalProperties: false },
)
export type Effect = Static<typeof Effect>

export const PutEffect = Type.Object(
  {
    incarnation,
    attempt,
    state: StringEnum(['intent', 'done'], { description: 'intent before it is done, done after' }),
    idempotent: Type.Boolean(),
    requestHash: Type.Optional(Type.String({ maxLength: 128 })),
    response: Type.Optional(Json),
  },
  { $id: 'PutEffect', additionalProperties: false },
)
export type PutEffect = Static<typeof PutEffect>

export const ResolveEffect = Type.Object(
  {
    done: Type.Boolean({ description: 'whether it has happened; if not, the next attempt does it' }),
    response: Type.Optional(Json),
  },
  { $id: 'ResolveEffect', additionalProperties: false },
)
export type ResolveEffect = Static<typeof ResolveEffect>

const effects = { service: 'crew-orchestrator', tag: 'tasks' } as const
const named = Type.Object({ id: Id, name: StepName }, closed)

export const putEffect = defineRoute({
  ...effects,
  operationId: 'putEffect',
  hot: true,
  method: 'PUT',
  path: '/v1/tasks/{id}/effects/{name}',
  summary: 'Write down under the fence that an effect is about to be done, or was; 409 effect_unknown pauses the task',
  access: ['task:claim'],
  params: named,
  body: PutEffect,
  answers: { 200: Effect, 201: Effect },
})

export const listEffects = defineRoute({
  ...effects,
  operationId: 'listEffects',
  method: 'GET',
  path: '/v1/tasks/{id}/effects',
  summary: 'List the effects of a task in the order in which they began',
  access: ['mission:read'],
  params: IdParams,
  answers: { 200: Type.Object({ items: Type.Array(Effect) }, { $id: 'Effects', ...closed }) },
})

export const resolveEffect = defineRoute({
  ...effects,
  operationId: 'resolveEffect',
  method: 'POST',
  path: '/v1/tasks/{id}/effects/{name}:resolve',
  summary: 'Say whether an unknown effect has happened; the paused task goes on when none is left',
  access: ['deadletter:write'],
  params: named,
  body: ResolveEffect,
  answers: { 200: Effect },
})
