import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { IdParams, Json, Page, Timestamp, pageQuery } from './common.ts'
import { fence } from './fence.ts'
import { Id } from './ids.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'
import { TaskError } from './tasks.ts'

const closed = { additionalProperties: false } as const
const { attempt } = fence

export const DeadLetter = Type.Object(
  {
    id: Id,
    taskId: Id,
    missionId: Id,
    key: Type.String(),
    input: Type.Optional(
      Type.Unknown({ description: 'what the task would be given again; only where one letter is read' }),
    ),
    error: TaskError,
    attempts: Type.Array(
      Type.Object(
        {
          attempt,
          outcome: Type.String(),
          startedAt: Timestamp,
          endedAt: Type.Optional(Timestamp),
          error: Type.Optional(TaskError),
          agentInstanceId: Type.Optional(Id),
        },
        closed,
      ),
    ),
    createdAt: Timestamp,
    resolution: Type.Optional(StringEnum(['replayed', 'discarded'])),
    resolvedAt: Type.Optional(Timestamp),
    resolvedBy: Type.Optional(Type.String()),
  },
  { $id: 'DeadLetter', additionalProperties: false },
)
export type DeadLetter = Static<typeof DeadLetter>

const deadLetters = { service: 'crew-orchestrator', tag: 'dead letters' } as const

export const listDeadLetters = defineRoute({
  ...deadLetters,
  operationId: 'listDeadLetters',
  method: 'GET',
  path: '/v1/dead-letters',
  summary: 'List tasks that used up their attempts, newest first',
  access: ['deadletter:write'],
  query: Type.Object(
    {
      ...pageQuery,
      missionId: Type.Optional(Id),
      open: Type.Optional(Type.Boolean({ description: 'only those without a resolution' })),
    },
    closed,
  ),
  answers: { 200: Page(DeadLetter, 'DeadLetterPage') },
})

export const getDeadLetter = defineRoute({
  ...deadLetters,
  operationId: 'getDeadLetter',
  method: 'GET',
  path: '/v1/dead-letters/{id}',
  summary: 'Read one dead letter with the record of every attempt',
  access: ['deadletter:write'],
  params: IdParams,
  answers: { 200: DeadLetter },
})

export const replayDeadLetter = defineRoute({
  ...deadLetters,
  operationId: 'replayDeadLetter',
  method: 'POST',
  path: '/v1/dead-letters/{id}:replay',
  summary: 'Let the paused task go on with a fresh set of attempts',
  access: ['deadletter:write'],
  params: IdParams,
  answers: { 200: DeadLetter },
})

export const discardDeadLetter = defineRoute({
  ...deadLetters,
  operationId: 'discardDeadLetter',
  method: 'POST',
  path: '/v1/dead-letters/{id}:discard',
  summary: 'Give the task up: a paused one fails, and the letter is closed',
  access: ['deadletter:write'],
  params: IdParams,
  answers: { 200: DeadLetter },
})

export const EditDeadLetter = Type.Object({ input: Json }, { $id: 'EditDeadLetter', additionalProperties: false })
export type EditDeadLetter = Static<typeof EditDeadLetter>

export const editDeadLetter = defineRoute({
  ...deadLetters,
  operationId: 'editDeadLetter',
  method: 'PATCH',
  path: '/v1/dead-letters/{id}',
  summary: 'Give the paused task another input, with which a replay begins; journaled steps stay as they are',
  access: ['deadletter:write'],
  params: IdParams,
  body: EditDeadLetter,
  answers: { 200: DeadLetter },
})
