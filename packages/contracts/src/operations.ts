import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { SkillId } from './agents.ts'
import { IdParams, Labels, Name, Page, Timestamp, pageQuery } from './common.ts'
import { idempotencyHeaders } from './idempotency.ts'
import { Id } from './ids.ts'
import { MISSION_STATES } from './missions.ts'
import { QueueName } from './queues.ts'
import { defineRoute } from './route.ts'
import { StringEnum } from './string-enum.ts'
import { TASK_STATES } from './tasks.ts'

const closed = { additionalProperties: false } as const

/** What can be done to many: each is the operation id of the route that does it to one, and needs the scopes of that route. */
export const OPERATION_ACTIONS = [
  'cancelMission',
  'pauseMission',
  'resumeMission',
  'retryMission',
  'cancelTask',
  'retryTask',
  'skipTask',
  'replayDeadLetter',
  'discardDeadLetter',
] as const
export const OperationAction = StringEnum(OPERATION_ACTIONS, {
  description: 'the operation id of the route that does it to one; its scopes are needed here, too',
})
export type OperationAction = Static<typeof OperationAction>

export const OPERATION_STATES = ['running', 'aborting', 'completed', 'aborted', 'failed'] as const
export const OperationState = StringEnum(OPERATION_STATES, {
  description: 'completed: every target was seen to; failed: it was given up, since it took longer than a day',
})
export type OperationState = Static<typeof OperationState>

const Instant = Type.Unsafe<string>({ ...Timestamp, maxLength: 40 })

/** Which targets are meant: those that fit all that it says. Of these, only those that the action can change are taken. */
export const OperationFilter = Type.Object(
  {
    all: Type.Optional(Type.Literal(true, { description: 'every one of the tenant; instead of conditions' })),
    crew: Type.Optional(Name),
    labels: Type.Optional(
      Type.Unsafe<Labels>({ ...Labels, minProperties: 1, description: 'of the mission, which has all of them' }),
    ),
    correlationId: Type.Optional(Type.String({ maxLength: 128, description: 'of the mission' })),
    state: Type.Optional(
      StringEnum([...new Set([...MISSION_STATES, ...TASK_STATES])], { description: 'of missions and tasks' }),
    ),
    createdAfter: Type.Optional(Instant),
    createdBefore: Type.Optional(Instant),
    code: Type.Optional(Type.String({ maxLength: 100, description: 'of the error' })),
    missionId: Type.Optional(Type.Unsafe<Id>({ ...Id, description: 'of tasks and dead letters' })),
    key: Type.Optional(Type.String({ maxLength: 100, description: 'of the task; not for missions' })),
    queue: Type.Optional(Type.Unsafe<string>({ ...QueueName, description: 'of the task; not for missions' })),
    skill: Type.Optional(
      Type.Unsafe<string>({ ...SkillId, description: 'of the task, in whatever pool; not for missions' }),
    ),
  },
  { $id: 'OperationFilter', additionalProperties: false },
)
export type OperationFilter = Static<typeof OperationFilter>

export const StartOperation = Type.Object(
  {
    action: OperationAction,
    filter: OperationFilter,
    reason: Type.Optional(Type.String({ maxLength: 1000 })),
    dryRun: Type.Optional(Type.Boolean({ description: 'change nothing, and answer how many targets there are' })),
  },
  { $id: 'StartOperation', additionalProperties: false },
)
export type StartOperation = Static<typeof StartOperation>

const Matched = Type.Integer({
  minimum: 0,
  description: 'targets that fit the filter, and that the action could change, when the operation began',
})

export const OperationPreview = Type.Object(
  {
    matched: Type.Unsafe<number>({
      ...Matched,
      description: 'targets that fit the filter and that the action can change; counted up to one more than is allowed',
    }),
  },
  { $id: 'OperationPreview', additionalProperties: false },
)
export type OperationPreview = Static<typeof OperationPreview>

export const OperationFailure = Type.Object(
  { id: Id, code: Type.String({ maxLength: 100 }), message: Type.String({ maxLength: 8000 }) },
  { $id: 'OperationFailure', additionalProperties: false },
)
export type OperationFailure = Static<typeof OperationFailure>

/** The handle of what is done to many. While it runs, done + skipped + failed grow to matched. */
export const Operation = Type.Object(
  {
    id: Id,
    action: OperationAction,
    filter: OperationFilter,
    reason: Type.Optional(Type.String()),
    state: OperationState,
    matched: Matched,
    done: Type.Integer({ description: 'targets that it has changed' }),
    skipped: Type.Integer({ description: 'targets that were there already, or had gone on, when their turn came' }),
    failed: Type.Integer({ description: 'targets that refused it' }),
    failures: Type.Array(OperationFailure, { description: 'the first of those that failed, and why' }),
    createdBy: Type.String(),
    createdAt: Timestamp,
    progressAt: Type.Unsafe<string>({ ...Timestamp, description: 'when somebody last saw to it' }),
    abortedBy: Type.Optional(Type.String()),
    endedAt: Type.Optional(Timestamp),
    correlationId: Type.String(),
  },
  { $id: 'Operation', additionalProperties: false },
)
export type Operation = Static<typeof Operation>

const operations = { service: 'crew-orchestrator', tag: 'operations', access: ['mission:read'] } as const

export const startOperation = defineRoute({
  ...operations,
  operationId: 'startOperation',
  method: 'POST',
  path: '/v1/operations',
  summary:
    'Do one thing to all missions, tasks or dead letters that fit a filter; 202 with a handle, 200 for a dry run',
  headers: Type.Object(idempotencyHeaders),
  body: StartOperation,
  answers: { 200: OperationPreview, 202: Operation },
})

export const listOperations = defineRoute({
  ...operations,
  operationId: 'listOperations',
  method: 'GET',
  path: '/v1/operations',
  summary: 'List operations, newest first',
  query: Type.Object({ ...pageQuery, state: Type.Optional(OperationState) }, closed),
  answers: { 200: Page(Operation, 'OperationPage') },
})

export const getOperation = defineRoute({
  ...operations,
  operationId: 'getOperation',
  method: 'GET',
  path: '/v1/operations/{id}',
  summary: 'Read how far an operation is',
  params: IdParams,
  answers: { 200: Operation },
})

export const abortOperation = defineRoute({
  ...operations,
  operationId: 'abortOperation',
  method: 'POST',
  path: '/v1/operations/{id}:abort',
  summary: 'Stop an operation after the targets in hand; what it has done stays done; 409 when it has ended',
  params: IdParams,
  answers: { 200: Operation },
})
