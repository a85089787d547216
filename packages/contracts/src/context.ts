import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { IdParams, Json, Timestamp } from './common.ts'
import { fence } from './fence.ts'
import { Id } from './ids.ts'
import { defineRoute } from './route.ts'

const closed = { additionalProperties: false } as const
const { incarnation, attempt } = fence

export const ContextKey = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$', maxLength: 200 })

const about = {
  key: ContextKey,
  version: Type.Integer({ minimum: 1, description: 'grows with every write' }),
  taskId: Type.Optional(Type.Unsafe<Id>({ ...Id, description: 'the task that wrote it last, when a task did' })),
  updatedBy: Type.String(),
  updatedAt: Timestamp,
}

/** Something that the tasks of a mission share. */
export const ContextEntry = Type.Object({ ...about, value: Json }, { $id: 'ContextEntry', additionalProperties: false })
export type ContextEntry = Static<typeof ContextEntry>

export const ContextList = Type.Object(
  { items: Type.Array(Type.Object(about, closed)) },
  { $id: 'ContextList', additionalProperties: false },
)
export type ContextList = Static<typeof ContextList>

/** Which version a write replaces; 0 for none. */
const ifVersion = Type.Optional(Type.Integer({ minimum: 0, maximum: 2_147_483_646 }))

export const PutTaskContext = Type.Object(
  { incarnation, attempt, ifVersion, value: Json },
  { $id: 'PutTaskContext', additionalProperties: false },
)
export type PutTaskContext = Static<typeof PutTaskContext>

const orchestrator = { service: 'crew-orchestrator', tag: 'missions' } as const
const params = Type.Object({ id: Id, key: ContextKey }, closed)

export const listContext = defineRoute({
  ...orchestrator,
  operationId: 'listContext',
  method: 'GET',
  path: '/v1/missions/{id}/context',
  summary: 'List what the tasks of a mission share, by key and without the values',
  access: ['mission:read'],
  params: IdParams,
  answers: { 200: ContextList },
})

export const getContext = defineRoute({
  ...orchestrator,
  operationId: 'getContext',
  method: 'GET',
  path: '/v1/missions/{id}/context/{key}',
  summary: 'Read something that the tasks of a mission share; its version is its ETag',
  access: ['mission:read'],
  params,
  answers: { 200: ContextEntry },
})

export const putContext = defineRoute({
  ...orchestrator,
  operationId: 'putContext',
  method: 'PUT',
  path: '/v1/missions/{id}/context/{key}',
  summary:
    'Write something that the tasks of a running mission share; If-Match names the version that is replaced, "0" none',
  access: ['mission:write'],
  params,
  headers: Type.Object({ 'if-match': Type.Optional(Type.String({ pattern: '^"(0|[1-9][0-9]{0,8})"$' })) }),
  body: Type.Object({ value: Json }, { $id: 'PutContext', additionalProperties: false }),
  bodyLimitBytes: 512 * 1024,
  answers: { 200: ContextEntry, 201: ContextEntry },
})

export const putTaskContext = defineRoute({
  service: 'crew-orchestrator',
  tag: 'tasks',
  operationId: 'putTaskContext',
  method: 'PUT',
  path: '/v1/tasks/{id}/context/{key}',
  summary: 'The same by a running task of the mission, under its fence; repeated by the same attempt it counts once',
  access: ['task:claim'],
  params,
  body: PutTaskContext,
  bodyLimitBytes: 512 * 1024,
  answers: { 200: ContextEntry, 201: ContextEntry },
})
